// Labelling: the next pictures are fetched before they are shown, and an answer is sent while the next picture is looked at.
const work = document.getElementById("labelling")
const { api, guideline, proof } = work.dataset
const ahead = Number(work.dataset.ahead)
const by = (id) => document.getElementById(id)
const stage = by("stage"), reasons = by("reasons"), skip = by("skip"), keys = by("keys")

let queue = [] // the pictures that are held, the shown one first: {image, element}
let sending = Promise.resolve() // answers go out one after the other, in the order in which they were given
const answered = new Set() // pictures whose answer is given here, and perhaps not stored yet
let waiting = 0 // answers that are not stored yet

function picture(image) {
  const element = new Image()
  element.alt = "A picture to be labelled"
  element.src = `${api}/pictures/${image}`
  element.decode?.().catch(() => {})
  return { image, element }
}

async function ask(path, method, body) {
  const headers = { accept: "application/json", "x-proof": proof }
  if (body) headers["content-type"] = "application/json"
  const answer = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) })
  if (answer.status === 401) location.reload()
  const told = await answer.json()
  if (!answer.ok) throw Object.assign(new Error(told.error.message), { code: told.error.code })
  return told
}

function hold(tasks) {
  const known = new Map(queue.map((each) => [each.image, each]))
  const wanted = tasks.filter((task) => !answered.has(task.image))
  const shown = queue[0]
  queue = wanted.map((task) => known.get(task.image) ?? picture(task.image))
  const at = queue.indexOf(shown)
  if (at > 0) queue.unshift(...queue.splice(at, 1)) // what is shown stays
  show()
}

function show() {
  const element = queue[0]?.element
  const over = !element && waiting === 0
  if (element && stage.firstElementChild !== element) stage.replaceChildren(element)
  work.hidden = over
  by("done").hidden = !over
  if (over) by("done").focus({ preventScroll: true })
}

function say(text) {
  const shown = document.createElement("p")
  shown.className = "note bad"
  shown.textContent = text
  by("note").replaceChildren(...(text ? [shown] : []))
}

function percent(share) { return `${Math.round(100 * share)} %` }

function halfOf(group) { return Math.round(50 * (group.high - group.low)) }

function bought(told) {
  by("labelled").textContent = told.labelled
  by("pictures").textContent = told.pictures
  const rest = [[told.cannot_tell, "cannot be told"], [told.tied, "tied"], [told.skipped, "skipped"]]
  by("rest").textContent = rest.filter(([count]) => count).map(([count, what]) => `, ${count} ${what}`).join("")
  by("by").textContent = !told.labelled ? "Shares come with the first label."
    : (told.by === "labels" ? "From labels alone" : "From labels, and what the reader says of the other pictures")
      + ", with 95 % intervals that hold "
      + (told.by === "labels" ? "" : "whatever errors it makes, and ")
      + (told.anytime ? "however often you look." : "for one look: decide beforehand how many pictures to label.")
  for (const group of told.groups) {
    const row = document.querySelector(`.bought [data-group="${CSS.escape(group.group)}"]`)
    const known = group.share !== null
    row.querySelector(".estimate").textContent = known ? percent(group.share) : "–"
    row.querySelector(".half").textContent = known ? `± ${halfOf(group)}` : ""
    row.querySelector(".more").textContent = group.more === null ? "" : `± ${Math.round(100 * group.wanted)} after about ${group.more} more`
    const range = row.querySelector(".range"), mark = row.querySelector(".mark")
    range.setAttribute("x", known ? 100 * group.low : 0)
    range.setAttribute("width", known ? 100 * (group.high - group.low) : 0)
    mark.setAttribute("x", known ? 100 * group.share - 0.75 : 0)
    mark.setAttribute("width", known ? 1.5 : 0)
  }
}

function told(answer, given) {
  const said = given.answer ?? given.reason ?? "cannot tell"
  const reader = answer.reader ? `; the reader: ${answer.reader.group}${answer.reader.confidence === null ? "" : ` (${percent(answer.reader.confidence)})`}` : ""
  const gold = answer.gold === null ? "" : `; known answer: ${answer.gold}`
  by("last").textContent = `You said: ${said}${gold || reader}`
}

// An answer: the next picture is shown at once, and the answer is stored behind it.
function give(said) {
  const current = queue[0]
  if (!current || work.hidden) return
  choose(false)
  queue.shift()
  answered.add(current.image)
  waiting += 1
  by("status").textContent = `${said.answer ?? said.reason ?? "cannot tell"}. ${queue.length ? "Next picture." : ""}`
  show()
  sending = sending.then(() => store(current, said))
}

async function store(current, said, tries = 0) {
  try {
    const answer = await ask("/labels", "POST", { image: current.image, ...said, guideline, most: ahead })
    waiting -= 1
    say("")
    told(answer, said)
    bought(answer.progress)
    hold(answer.next)
  } catch (error) {
    if (error.code) { // it was refused: the picture went to somebody else, or the page is old
      waiting -= 1
      say(error.message)
      return begin()
    }
    say("The server cannot be reached. Your answer is kept here and sent again.")
    await new Promise((done) => setTimeout(done, Math.min(10000, 500 * 2 ** tries)))
    return store(current, said, tries + 1)
  }
}

function undo() {
  choose(false)
  sending = sending.then(async () => {
    try {
      const answer = await ask(`/undo?most=${ahead}`, "POST")
      answered.delete(answer.label.image)
      const first = answer.next[0].image
      const known = queue.filter((each) => each.image !== first)
      queue = [picture(first), ...known]
      by("last").textContent = `Taken back: ${answer.label.answer ?? answer.label.reason}`
      by("status").textContent = "The last label is taken back, and its picture is here again."
      bought(answer.progress)
      hold(answer.next)
    } catch (error) {
      say(error.code === "nothing_to_undo" ? "There is no label of yours to take back." : error.message)
    }
  })
}

function choose(open) {
  reasons.hidden = !open
  skip.setAttribute("aria-expanded", String(open))
}

async function begin() {
  try {
    const [tasks, progress] = await Promise.all([ask(`/next?most=${ahead}`, "POST"), ask("/progress", "GET")])
    bought(progress)
    hold(tasks.data)
  } catch (error) {
    say(error.code ? error.message : "The server cannot be reached. Load the page again in a moment.")
  }
}

const answers = [...document.querySelectorAll("[data-answer]")]
const why = [...document.querySelectorAll("[data-reason]")]
answers.forEach((button) => button.addEventListener("click", () => give({ answer: button.dataset.answer })))
why.forEach((button) => button.addEventListener("click", () => give({ reason: button.dataset.reason })))
by("unsure").addEventListener("click", () => give({}))
skip.addEventListener("click", () => choose(reasons.hidden))
by("undo").addEventListener("click", undo)
by("undo-last").addEventListener("click", undo)

keys.checked = localStorage.getItem("label-keys") !== "off"
keys.addEventListener("change", () => localStorage.setItem("label-keys", keys.checked ? "on" : "off"))

document.addEventListener("keydown", (event) => {
  if (!keys.checked || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) return
  const key = event.key.toLowerCase()
  const number = Number(key) - 1
  const open = !reasons.hidden
  if (key === "escape") choose(false)
  else if (open && why[number]) give({ reason: why[number].dataset.reason })
  else if (!open && number >= 0 && number < 9 && answers[number]) give({ answer: answers[number].dataset.answer })
  else if (key === "0" || key === "c") give({})
  else if (key === "s") choose(!open)
  else if (key === "u") undo()
  else return
  event.preventDefault()
})

begin()
