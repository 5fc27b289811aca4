// What every page does: says when the server cannot be reached, and opens nothing that it should not.
const note = document.getElementById("note")

function say(text) {
  const shown = document.createElement("p")
  shown.className = "note bad"
  shown.textContent = text
  note?.replaceChildren(shown)
}

document.addEventListener("htmx:sendError", () => say("The server cannot be reached. Nothing is lost: try again in a moment."))
document.addEventListener("htmx:timeout", () => say("The server takes too long. Try again in a moment."))
document.addEventListener("htmx:beforeRequest", (event) => {
  const unsafe = event.detail.requestConfig?.verb !== "get"
  if (unsafe) note?.replaceChildren()
})

document.querySelector("[data-print]")?.addEventListener("click", () => window.print())
