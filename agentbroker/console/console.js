// Polls the broker's API once a second and shows it; nothing else happens here.

const COLUMNS = {
  queues: ["queue", "strategy", "waiting", "oldest_s", "agents", "ready", "talking", "answered", "abandoned",
    "servicelevel_percent"],
  agents: ["agent", "name", "state", "reason", "state_s", "device", "node", "edge", "call_uid", "calls_taken"],
  calls: ["call_uid", "node", "state", "caller", "called", "queue", "agent", "duration_s", "outcome"],
  nodes: ["node", "role", "state", "sip", "http", "calls", "registrations", "agents", "leader_epoch"],
  media: ["server", "used", "limit"],
};
const POLL_MS = 1000;
const token = document.getElementById("token");
const problem = document.getElementById("problem");

token.value = sessionStorage.getItem("token") ?? "";
token.addEventListener("change", () => sessionStorage.setItem("token", token.value));

function row(cells, tag) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const element = document.createElement(tag);
    element.textContent = cell;
    line.append(element);
  }
  return line;
}

async function refresh(name) {
  const answer = await fetch(`/v1/${name}`, { headers: { Authorization: `Bearer ${token.value}` } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  const columns = COLUMNS[name];
  const rows = body.map((item) => row(columns.map((column) => item[column] ?? ""), "td"));
  document.getElementById(name).replaceChildren(row(columns, "th"), ...rows);
}

async function poll() {
  if (token.value) {
    try {
      for (const name of Object.keys(COLUMNS)) await refresh(name);
      problem.textContent = "";
    } catch (error) {
      problem.textContent = error.message;
    }
  }
  setTimeout(poll, POLL_MS);
}

poll();
