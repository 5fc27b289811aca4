// The address of the server as this browser reaches it: a proxy may have it below a path that the server does not know.
const address = document.getElementById("address")
const [server] = location.href.split("/studio/api")
if (address) address.textContent = `'${server.replaceAll("'", "%27")}'`
