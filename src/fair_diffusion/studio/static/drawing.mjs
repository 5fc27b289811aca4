// A drawing: the slider of each pair uncovers the image without the instruction.
document.getElementById("main").addEventListener("input", (event) => {
  const pair = event.target.closest("figure")?.querySelector("[data-pair]")
  if (pair) pair.style.setProperty("--cut", `${event.target.value}%`)
})
