// The editor: numbers beside the lines, and the way to the line of a mistake.
const text = document.getElementById("text")
const gutter = document.querySelector(".gutter")

function number() {
  const lines = text.value.split("\n").length
  if (gutter.dataset.lines !== String(lines)) {
    gutter.textContent = Array.from({ length: lines }, (_, k) => k + 1).join("\n")
    gutter.dataset.lines = lines
  }
  gutter.scrollTop = text.scrollTop
}

text.addEventListener("input", number)
text.addEventListener("scroll", number)
document.getElementById("policy").addEventListener("click", (event) => {
  const line = event.target.closest("[data-line]")?.dataset.line
  if (!line) return
  const lines = text.value.split("\n")
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0)
  text.focus()
  text.setSelectionRange(start, start + lines[line - 1].length)
  text.scrollTop = (line - 3) * parseFloat(getComputedStyle(text).lineHeight)
})
number()
