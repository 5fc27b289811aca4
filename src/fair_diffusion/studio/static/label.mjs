// Labelling: the next pictures are fetched before they are shown, and an answer is sent while the next picture is looked at.
const work = document.getElementById("labelling")
const { api, guideline, proof, rater } = work.dataset
const ahead = Number(work.dataset.ahead)
const by = (id) => document.getElementById(id)
const stage = by("stage"), reasons = by("reasons"), skip = by("skip"), keys = by("keys")
const place = `unsent ${rater} ${location.pathname}`
const renewing = "label page renewed"
const LONGEST = 60000 // milliseconds between two tries, at most

let queue = [] // the pictures that are held, the shown one first: {image, element}
const unsent = JSON.parse(sessionStorage.getItem(place) ?? "[]") // answers that are not stored yet; they outlive a reload
const given = new Map() // elements of the pictures that were labelled last
const refused = new Set() // pictures whose answer was not taken, and that have none since
const notes = new Map() // what is wrong, by its kind
let more = true // whether the server may have further pictures
let undoing = false
let line = Promise.resolve() // what is asked of the server, one thing after the other

function after(what) { line = line.then(what).catch((error) => say("page", sentence(error.message))) }

function keep() { unsent.length ? sessionStorage.setItem(place, JSON.stringify(unsent)) : sessionStorage.removeItem(place) }

function picture(image) {
  const element = new Image()
  element.alt = "A picture to be labelled"
  element.src = `${api}/pictures/${image}`
  element.decode?.().catch(() => {})
  return { image, element }
}

async function once(path, method, body) {
  const headers = { accept: "application/json", "x-proof": proof }
  if (body) headers["content-type"] = "application/json"
  const answer = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) })
  if (!answer.ok) {
    const { message, code } = (await answer.json().catch(() => null))?.error ?? {}
    const wait = 1000 * Number(answer.headers.get("retry-after") ?? 0)
    throw Object.assign(new Error(message ?? `the server answered ${answer.status}`), { code, status: answer.status, wait })
  }
  const told = await answer.json()
  sessionStorage.removeItem(renewing)
  return told
}

// Ask until there is an answer: what is refused is thrown, and all else may pass.
async function ask(path, method, body) {
  for (let tries = 0; ; tries++) {
    try {
      const told = await once(path, method, body)
      say("away", "")
      return told
    } catch (error) {
      await renewed(error)
      if (error.status && error.status < 500 && error.status !== 408 && error.status !== 429) throw error
      say("away", `The server cannot be reached, or is too busy. ${unsent.length ? "Your answer is kept here and sent again." : "The page asks again."}`)
      await new Promise((done) => setTimeout(done, Math.min(LONGEST, Math.max(error.wait || 0, Math.min(10000, 500 * 2 ** tries)))))
    }
  }
}

// Another session has begun, or this one is over: the page is loaded anew, and answers are sent then.
async function renewed({ status }) {
  if (status !== 401 && (status !== 403 || sessionStorage.getItem(renewing))) return
  sessionStorage.setItem(renewing, "yes")
  location.reload()
  await new Promise(() => {})
}

function hold(tasks) {
  const known = new Map(queue.map((each) => [each.image, each]))
  const answered = new Set(unsent.map((each) => each.image))
  const shown = queue[0]
  more = tasks.length > 0
  queue = tasks.filter((task) => !answered.has(task.image)).map((task) => known.get(task.image) ?? picture(task.image))
  const at = queue.indexOf(shown)
  if (at > 0) queue.unshift(...queue.splice(at, 1)) // what is shown stays
  show()
}

function show() {
  const element = queue[0]?.element
  const over = !element && !more && !unsent.length
  const returns = work.hidden && !over
  if (!element && stage.querySelector("img")) stage.replaceChildren(paragraph("The next picture is on its way.", "quiet-text"))
  if (element && stage.firstElementChild !== element) stage.replaceChildren(element)
  work.hidden = over
  by("done").hidden = !over
  if (over) by("done").focus({ preventScroll: true })
  if (returns) by("question").focus({ preventScroll: true })
}

function paragraph(text, kind) {
  const made = document.createElement("p")
  made.className = kind
  made.textContent = text
  return made
}

function sentence(text) { return text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".") }

function say(kind, text) {
  if ((notes.get(kind) ?? "") === text) return
  text ? notes.set(kind, text) : notes.delete(kind)
  by("note").replaceChildren(...[...notes.values()].map((each) => paragraph(each, "note bad")))
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

function said(label) { return label.answer ?? label.reason ?? "cannot tell" }

// The reader's word, or a known answer, is told of the picture whose label can no longer be taken back.
function told({ label, final }) {
  const parts = [`You said: ${said(label)}.`]
  const element = final && given.get(final.label.image)
  if (element && (final.gold !== null || final.reader)) {
    const { group, confidence } = final.reader ?? {}
    const word = final.gold !== null ? `The known answer: ${final.gold}` : `The reader: ${group}${confidence === null ? "" : ` (${percent(confidence)})`}`
    element.alt = "An earlier picture"
    parts.push(element, `Here you said: ${said(final.label)}. ${word}.`)
  }
  by("last").replaceChildren(...parts)
}

// An answer: the next picture is shown at once, and the answer is stored behind it.
function give(answer) {
  const current = queue[0]
  if (!current || work.hidden || undoing) return
  choose(false)
  say("undo", "")
  queue.shift()
  unsent.push({ image: current.image, ...answer })
  keep()
  given.delete(current.image)
  given.set(current.image, current.element)
  if (given.size > 2 * ahead) given.delete(given.keys().next().value)
  by("status").textContent = `${said(answer)}. ${queue.length ? "Next picture." : ""}`
  show()
  after(send)
}

async function send() {
  while (unsent.length) {
    const answer = unsent[0]
    const stored = await ask("/labels", "POST", { ...answer, guideline, most: ahead }).catch((error) => error)
    if (stored.status === 403) return say("page", `${sentence(stored.message)} Your answers are kept here.`)
    unsent.shift()
    keep()
    if (stored instanceof Error) await drop(answer, stored)
    else take(answer, stored)
  }
}

function take(answer, stored) {
  refused.delete(answer.image)
  if (!refused.size) say("refused", "")
  say("labelled", "")
  told(stored)
  bought(stored.progress)
  hold(stored.next)
}

async function drop(answer, error) {
  if (error.code === "labelled") say("labelled", `Your answer (${said(answer)}) was not stored. ${sentence(error.message)}`)
  else {
    refused.add(answer.image)
    const which = refused.size === 1 ? "An answer was" : `${refused.size} answers were`
    say("refused", `${which} not stored (the last one: ${said(answer)}). ${sentence(error.message)} What is still yours to label comes again.`)
  }
  await begin()
}

// No answer is taken until the server has said which picture is the last one, so that none falls on another.
function undo() {
  if (undoing) return
  choose(false)
  busy(true)
  after(async () => {
    try {
      const answer = await once(`/undo?most=${ahead}`, "POST")
      const first = answer.next[0].image
      queue = [picture(first), ...queue.filter((each) => each.image !== first)]
      by("last").textContent = `Taken back: ${said(answer.label)}`
      by("status").textContent = "The last label is taken back, and its picture is here again."
      say("undo", "")
      bought(answer.progress)
      hold(answer.next)
    } catch (error) {
      await renewed(error)
      say("undo", error.status < 500 ? sentence(error.message) : "The server did not say whether the last label was taken back. The picture that it gives next is here.")
      if (error.status < 500) return
      queue = []
      await begin()
    } finally {
      busy(false)
    }
  })
}

function busy(is) {
  undoing = is
  work.setAttribute("aria-busy", String(is))
}

function choose(open) {
  if (!open && reasons.contains(document.activeElement)) skip.focus({ preventScroll: true })
  reasons.hidden = !open
  skip.setAttribute("aria-expanded", String(open))
}

async function begin() {
  const [tasks, progress] = await Promise.all([ask(`/next?most=${ahead}`, "POST"), ask("/progress", "GET")])
  bought(progress)
  hold(tasks.data)
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

after(send)
after(begin)
