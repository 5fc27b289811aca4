// The form of instructing: sliders whose shares sum to 100, a draft that survives a reload, pictures that are dropped.
const DRAFT = "fair-diffusion instruct"
const main = document.getElementById("main")
const form = () => document.getElementById("form")

// The one that is moved takes its share; the others share the rest as they did before.
function rebalance(moved) {
  const all = [...moved.closest("[data-shares]").querySelectorAll("input[type=range]")]
  const others = all.filter((each) => each !== moved)
  const rest = 100 - Number(moved.value)
  const total = others.reduce((sum, each) => sum + Number(each.dataset.before ?? each.value), 0)
  const wanted = others.map((each) => (rest * (total ? Number(each.dataset.before ?? each.value) : 1)) / (total || others.length))
  const whole = wanted.map(Math.floor)
  const order = wanted.map((share, k) => [whole[k] - share, k]).sort((a, b) => a[0] - b[0] || a[1] - b[1])
  const left = rest - whole.reduce((sum, each) => sum + each, 0)
  for (const [, k] of order.slice(0, left)) whole[k] += 1
  others.forEach((each, k) => { each.value = whole[k] })
  for (const each of all) each.parentElement.querySelector("output").value = `${each.value} %`
}

function keepDraft() {
  const kept = Object.fromEntries([...new FormData(form())].filter(([name]) => !/^(proof|moved|share\.)/.test(name)))
  sessionStorage.setItem(DRAFT, JSON.stringify(kept))
}

// Whether a field can have a value; a choice may be gone by now.
function has(field, value) {
  return field.type !== "select-one" || [...field.options].some((each) => each.value === value)
}

function restoreDraft() {
  const kept = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null")
  if (!kept || location.search || form().elements.prompt.value) return
  for (const field of form().elements) {
    if (field.type === "checkbox") field.checked = field.name in kept
    else if (field.name in kept && has(field, kept[field.name])) field.value = kept[field.name]
  }
}

main.addEventListener("pointerdown", (event) => {
  if (event.target.matches("[data-shares] input")) remember(event.target)
})
main.addEventListener("keydown", (event) => {
  if (event.target.matches("[data-shares] input")) remember(event.target)
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("#form")) form().requestSubmit()
})
function remember(moved) {
  for (const each of moved.closest("[data-shares]").querySelectorAll("input")) each.dataset.before = each.value
}

main.addEventListener("input", (event) => {
  const slider = event.target.matches("[data-shares] input")
  form().elements.moved.value = slider ? "1" : ""
  if (slider) rebalance(event.target)
  else if (event.target.closest("#form") && event.target.type !== "file") keepDraft()
}, { capture: true })

main.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-sentence]")
  if (!chosen) return
  const field = form().elements.sentence
  field.value = chosen.dataset.sentence
  field.dispatchEvent(new Event("input", { bubbles: true }))
  field.focus()
})

document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.target.id === "sentence") keepDraft()
})

async function read(file) {
  const sent = new FormData()
  sent.set("picture", file)
  const headers = { "x-proof": form().elements.proof.value, "hx-request": "true", "hx-current-url": location.href }
  const answer = await fetch(form().dataset.settings, { method: "POST", body: sent, headers })
  const text = await answer.text()
  if (!answer.ok) {
    document.getElementById("note").innerHTML = text
    return
  }
  const made = new DOMParser().parseFromString(text, "text/html").querySelector("form")
  form().replaceWith(made)
  document.getElementById("note").replaceChildren()
  keepDraft()
  document.body.dispatchEvent(new Event("settings"))
  form().elements.prompt.focus()
}

main.addEventListener("change", (event) => {
  if (event.target.id === "picture" && event.target.files.length) read(event.target.files[0])
})
main.addEventListener("dragover", (event) => {
  event.preventDefault()
  document.getElementById("drop").classList.add("over")
})
main.addEventListener("dragleave", () => document.getElementById("drop").classList.remove("over"))
main.addEventListener("drop", (event) => {
  event.preventDefault()
  document.getElementById("drop").classList.remove("over")
  if (event.dataTransfer.files.length) read(event.dataTransfer.files[0])
})

restoreDraft()
