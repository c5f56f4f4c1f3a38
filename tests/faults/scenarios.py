"""The table of scenarios: a command, the world it runs in, and what must be true afterwards.

To add one, append a `Scenario` to TABLE. What another kind of payment needs beyond that: a subclass of `Market` whose
`take` knows its credentials (`market`), a function that brings the world to the point before the command (`prepare`),
and a function that compares both ledgers (`judge`).
"""

import atexit
import dataclasses
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from hostile import charge  # noqa: E402
from lab import PAYCURL, Done, Home, fast_folder, wait_for  # noqa: E402
from lightning_market import FEE, LightningMarket  # noqa: E402
from market import Market, read_journal  # noqa: E402
from session_market import PRICE, SessionMarket, events  # noqa: E402

HANG = 60  # seconds
LATER = 60  # seconds until nothing that was signed is valid any more
GOODS, CLOSED = b"goods", b"closed"
TICKS, AHEAD = 7, 2  # the events of a stream, and how many of them a voucher may run ahead

SHIM = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-shim-")) / "shim.so"
atexit.register(shutil.rmtree, SHIM.parent, True)


def build_shim():
    if not SHIM.exists():
        subprocess.run(["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", SHIM,
                        HERE / "shim.c", "-ldl"], check=True)
    return str(SHIM)


class World:
    """A home and a market that can be set back to where they were."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.market = scenario.market()
        self.home = Home(rpc=self.market.url + "/rpc", **self.market.environment)
        self.template = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-template-", dir=fast_folder())) / "home"
        atexit.register(shutil.rmtree, self.template.parent, True)
        self.journal = lambda table="payments": read_journal(self.home.state, table)
        self.runs, self.wrong = [], []
        self.keep()
        scenario.prepare(self)
        assert not self.wrong, self.wrong

    def keep(self):
        """What is there now is what `reset` goes back to."""
        shutil.rmtree(self.template, True)
        shutil.copytree(self.home.path, self.template)
        self.market.keep()

    def reset(self, journal=None):
        shutil.rmtree(self.home.path)
        shutil.copytree(self.template, self.home.path)
        self.market.forget()
        self.market.journal = journal or self.journal
        self.before = {row["id"] for row in self.journal()}
        self.runs, self.wrong, self.signed = [], [], {}

    def close(self):
        self.market.stop()
        shutil.rmtree(self.template.parent, True)
        shutil.rmtree(self.home.path, True)

    def command(self):
        return [word.format(url=self.market.url, home=self.home.path) for word in self.scenario.command]

    def run(self, *, prefix=(), env=None):
        """One run of the command. `prefix` is what it runs under; a prefix or environment may kill it."""
        settled, arrived = dict(self.market.ledger), len(self.market.arrivals)
        try:
            process = subprocess.run([*prefix, PAYCURL, *self.command()], stdin=subprocess.DEVNULL, capture_output=True,
                                     timeout=HANG, env={**self.home.env, **(env or {})})
            done = Done(process.returncode, process.stdout, process.stderr)
        except subprocess.TimeoutExpired as late:
            done = Done(None, late.stdout or b"", late.stderr or b"")
        self.market.rest()
        done.body = self.scenario.output(self, done)
        self.runs.append(done)
        done.billed = len(self.market.ledger) - len(settled)
        self.check_status(done, settled, [(kind, key) for kind, key in self.market.arrivals[arrived:] if kind != "close"])
        self.scenario.watch(self)
        return done

    def later(self):
        """A run when everything that was signed has expired."""
        self.market.ahead += LATER
        return self.run(env={"LD_PRELOAD": build_shim(), "FAULTS_CLOCK": str(self.market.ahead)})

    def finish(self):
        """Clean runs after the fault, until one succeeds: at once, or with a documented status and then later."""
        done = self.run()
        if done.code == 0:
            return
        if done.code not in self.scenario.unfinished:
            self.fault("stuck", f"the next run ended in {done.code}: {done.errors}")
        elif (last := self.later()).code != 0:
            self.fault("stuck", f"the next run ended in {done.code}, the one after it in {last.code}: {last.errors}")

    def fault(self, kind, text):
        self.wrong.append((kind, text))

    def check_status(self, done, settled, arrivals):
        """What EXIT STATUS in the manual promises, of any command."""
        code, moved = done.code, len(self.market.ledger) - len(settled)
        if code is None:
            return self.fault("hang", f"still running after {HANG} s: {done.errors}")
        if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return None
        if code < 0 or code > 128:
            return self.fault("crash", repr(done))
        if code != 0 and not done.err:
            self.fault("silent", f"status {code} without a word")
        if code == 0 and done.body != self.scenario.goods:
            self.fault("status", f"status 0 with {len(done.body)} bytes of {len(self.scenario.goods)}: {done.errors}")
        if (0 < code < 100 or code in (101, 102, 103, 104, 105, 109)) and (arrivals or moved):
            self.fault("status", f"status {code}, and money moved: {done.errors}")
        if code == 100 and (moved or any(key in self.market.ledger for _, key in arrivals)):
            self.fault("status", f"status 100, and the payment settled: {done.errors}")
        if code == 107 and not any(row["status"] == "unknown" for row in self.journal()):
            self.fault("status", f"status 107, and the journal knows of no doubt: {done.errors}")
        if code == 108 and not self.market.ledger:
            self.fault("status", f"status 108, and nothing was paid: {done.errors}")
        return None

    def judge(self):
        """Every violation of this point as (kind, text)."""
        for text in self.market.unrecorded:
            self.fault("unrecorded", text)
        self.scenario.judge(self)
        return self.wrong


def judge_purchases(world):
    """What moved, against what was delivered (or said to be paid and lost), and against the journal."""
    market = world.market
    told = sum(1 for run in world.runs if run.code == 108)
    whole = sum(1 for run in world.runs if run.body == world.scenario.goods)
    if len(market.ledger) > whole + told:
        world.fault("double", f"{len(market.ledger)} settled, {whole} delivered, {told} known to be lost")
    rows = [row for row in world.journal() if row["id"] not in world.before]
    name = lambda row: row["challenge_id"] if row["amount"] == "0" else row["reference"]
    known = {name(row): row for row in rows if row["signed_digest"] is not None}
    for key, amount in market.ledger.items():
        row = known.get(key)
        if row is None or row["status"] not in ("settled", "unknown"):
            world.fault("unrecorded", f"{key} settled, its row is {row and row['status']}")
        elif int(row["amount"]) != amount:
            world.fault("unrecorded", f"{key} moved {amount}, its row says {row['amount']}")
    for row in rows:
        if row["status"] == "settled" and name(row) not in market.ledger:
            world.fault("unrecorded", f"row {row['id']} is settled for {name(row)}, and what moved is {market.ledger}")
    if world.runs[-1].code == 0 and not any(row["status"] == "settled" for row in rows):
        world.fault("unrecorded", "delivered, and no row is settled")
    judge_kept_bodies(world, rows)


def judge_kept_bodies(world, rows):
    """A body that was kept comes back whole, or paycurl says that it does not."""
    for row in rows:
        if row["body_size"] is None:
            continue
        shown = world.home.run("payments", "show", row["id"], "--body")
        if shown.code == 0 and shown.out != world.scenario.goods:
            world.fault("status", f"{len(shown.out)} bytes of a kept body of {row['body_size']}, and status 0")


def judge_reading(world):
    """A command that only reads the journal: no credential, no new row."""
    if world.market.arrivals:
        world.fault("double", "a command that only reads has paid")
    if {row["id"] for row in world.journal()} != world.before:
        world.fault("unrecorded", "a command that only reads has changed the journal")


def judge_session(world):
    """The payee's books against the journal: one channel, nothing taken that was not signed for or not delivered."""
    market, runs = world.market, world.runs
    if len(market.channels) > 1:
        world.fault("double", f"{len(market.channels)} channels were opened")
    for identity, texts in market.openings.items():
        if len(texts) > 1:
            world.fault("double", f"{len(texts)} different openings of {identity}")
    lost = len(market.ledger) - sum(market.worth(run.body) for run in runs)
    new = [row for row in world.journal() if row["id"] not in world.before]
    told = any(run.code in (107, 108) for run in runs) or any(row["error_code"] in (107, 108) for row in new)
    if lost > (AHEAD if market.ticks else told):  # of a stream, what was on the way when the run ended
        world.fault("double", f"{len(market.ledger)} units billed, {lost} of them not delivered; told: {told}")
    for number, run in enumerate(runs, 1):
        if run.code == 108 and not any(earlier.billed for earlier in runs[:number]):
            world.fault("status", "status 108, and nothing was billed")
    for channel in market.channels.values():
        judge_channel(world, channel)
    if runs[-1].code == 0 and world.scenario.goods != CLOSED and not any(row["status"] == "settled" for row in new):
        world.fault("unrecorded", "delivered, and no row is settled")
    judge_kept_bodies(world, new)


def judge_channel(world, channel):
    row = next((row for row in world.journal("channels") if row["id"] == channel.identity), None)
    if row is None or row["status"] not in (("closed",) if channel.closed else ("opening", "open")):
        return world.fault("unrecorded", f"the channel {channel.identity} is {row and row['status']} in the journal")
    signed, spent = int(row["signed"]), int(row["spent"])
    rows = sum(int(each["amount"]) for each in world.journal() if each["session"] == channel.identity)
    if not spent <= channel.spent <= channel.accepted <= signed == rows:
        world.fault("unrecorded", f"rows {rows}, signed {signed}, accepted {channel.accepted} (the payee's word), "
                                  f"spent {channel.spent} (the payee's word), {spent}")
    if world.runs[-1].code == 0 and (spent, row["deposit"]) != (channel.spent, str(channel.deposit)):
        world.fault("unrecorded", f"spent {spent} of {row['deposit']}, the payee says {channel.spent} of "
                                  f"{channel.deposit}")
    if world.scenario.goods == CLOSED and world.runs[-1].code == 0 and not channel.closed:
        world.fault("status", "status 0, and the payee still has the channel")
    return None


def judge_lightning(world):
    """Nothing asked of the wallet twice, no proof withheld from the server, no fee left out."""
    judge_purchases(world)
    market = world.market
    for key in market.asked_again:
        world.fault("double", f"the wallet was asked again to pay {key}, which it had paid")
    for key in market.ledger:
        if key not in market.served:
            world.fault("stuck", f"{key} was paid, and the server never saw its proof")
    for row in world.journal():
        if row["reference"] in market.ledger and int(row["fee"]) < FEE:
            world.fault("unrecorded", f"routing took {FEE}, the row says {row['fee']}")


def judge_resumed(world):
    """What was begun before the command, and nothing new."""
    world.before = set()
    judge_lightning(world)
    if len(world.market.ledger) > 1:
        world.fault("double", "to finish a payment, another one was made")


def watch_secrets(world):
    """No preimage and no rune where they could be found later."""
    done, shapes = world.runs[-1], world.market.secrets()
    places = {"stdout": done.out, "stderr": done.err}
    for path in world.home.path.rglob("*"):
        if path.is_file():
            places[str(path.relative_to(world.home.path))] = path.read_bytes()
    for place, content in places.items():
        if shapes.search(content):
            world.fault("leak", f"a preimage or the rune is in {place}")


def watch_signed(world):
    """What was signed never falls."""
    for row in world.market.journal("channels"):
        before = world.signed.setdefault(row["id"], int(row["signed"]))
        if int(row["signed"]) < before:
            world.fault("unrecorded", f"signed was {before} and is {row['signed']}")
        world.signed[row["id"]] = int(row["signed"])


def no_watch(world):
    """Nothing to see between the runs."""


def fresh(world):
    """Nothing was ever paid here: the run creates its folders and the journal."""


def used(world):
    """A payment was made before."""
    world.reset()
    subprocess.run([PAYCURL, world.market.url + "/before"], env=world.home.env, capture_output=True, check=True)
    world.keep()


def opened(calls=1):
    def prepare(world):
        """A channel is open, and so many calls were paid from it."""
        world.reset()
        world.market.losses = 0
        for _ in range(calls):
            subprocess.run([PAYCURL, "--max-deposit", "1000", world.market.url + "/x"], env=world.home.env,
                           capture_output=True, check=True)
        world.keep()
    return prepare


def killed(word):
    def prepare(world):
        """A run was killed when the wallet had been asked. It left no spool: a torn power loss would mix the data of two
        files that have the same name one after the other."""
        world.reset()
        world.market.script = [word]
        process = world.home.start("--no-spool", world.market.url + "/x")
        assert wait_for(lambda: world.market.arrivals), "the wallet was not asked"
        process.kill()
        process.communicate()
        world.market.rest()
        world.keep()
    return prepare


def before_checkpoint(world):
    """The next payment folds the write-ahead log into the database."""
    database = world.home.state / "paycurl.db"
    world.reset()
    for _ in range(100):
        world.keep()
        size = database.stat().st_size if database.exists() else 4096
        subprocess.run([PAYCURL, world.market.url + "/before"], env=world.home.env, capture_output=True, check=True)
        if database.stat().st_size > size:
            return
    raise AssertionError("the log is never folded into the database")


def from_stdout(world, done):
    return done.out


def is_closed(world, done):
    return CLOSED if done.code == 0 and b"closed" in done.out else b""


def from_resume(world, done):
    """When nothing was left to finish: what an earlier run delivered, or said to be paid and lost."""
    earlier = any(run.code == 108 or run.body == GOODS for run in world.runs)
    return GOODS if earlier and done.code == 0 and not done.out else done.out


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    command: tuple  # {url} is the market, {home} the home folder
    market: Callable = Market
    prepare: Callable = fresh  # brings a new world to where each point begins
    goods: bytes = GOODS  # what a run that succeeds delivers
    output: Callable = from_stdout  # (world, done): what a run delivered
    judge: Callable = judge_purchases  # reports to world.fault
    watch: Callable = no_watch  # looks at the world behind every run
    unfinished: tuple = (100, 107, 108)  # the statuses of a clean run behind which another one has to succeed
    rare: bool = False  # a sample leaves it out, unless it is named


LARGE = bytes(range(256)) * 800

PUSH = charge(supportedModes=["push"])


def on_channel(name, *command, **more):
    return Scenario(name, command, **{"market": SessionMarket, "judge": judge_session, "watch": watch_signed, **more})


def by_lightning(name, *command, script=(), **more):
    return Scenario(name, command, **{"market": lambda: LightningMarket(*script), "judge": judge_lightning,
                                      "watch": watch_secrets, **more})


TABLE = [
    Scenario("charge", ("{url}/x",)),
    Scenario("charge-refused", ("{url}/x",), prepare=used, market=lambda: Market(replay="refuse")),
    Scenario("charge-large", ("{url}/x",), prepare=used, market=lambda: Market(body=LARGE), goods=LARGE),
    Scenario("charge-checkpoint", ("{url}/x",), prepare=before_checkpoint),
    Scenario("push", ("{url}/x",), market=lambda: Market(PUSH)),
    Scenario("push-refused", ("{url}/x",), prepare=used, market=lambda: Market(PUSH, replay="refuse")),
    Scenario("proof", ("{url}/x",), market=lambda: Market(charge("0"))),
    Scenario("body", ("payments", "show", "last", "--body"), prepare=used, judge=judge_reading),
    on_channel("session-open", "{url}/x", market=lambda: SessionMarket(10**4 * PRICE)),
    on_channel("session-voucher", "{url}/x", prepare=opened(), market=lambda: SessionMarket(10**4 * PRICE)),
    on_channel("session-topup", "{url}/x", prepare=opened(2), market=lambda: SessionMarket(2 * PRICE)),
    on_channel("session-stream", "-M", "step=0.002", "{url}/x", market=lambda: SessionMarket(ticks=TICKS),
               goods=b"".join(events(TICKS))),
    on_channel("session-lost-answer", "{url}/x", prepare=opened(), market=lambda: SessionMarket(losses=1)),
    on_channel("session-close", "sessions", "close", "last", prepare=opened(2), goods=CLOSED, output=is_closed),
    by_lightning("lightning", "{url}/x"),
    by_lightning("lightning-lost-answer", "{url}/x", script=("lost answer",)),
    by_lightning("lightning-lost-question", "{url}/x", script=("lost question",), rare=True),
    by_lightning("lightning-pending", "{url}/x", script=("pending",), rare=True),
    by_lightning("lightning-no-route", "{url}/x", script=("no route",), unfinished=(100, 107, 108, 109),
                 rare=True),
    by_lightning("lightning-resume", "payments", "resume", prepare=killed("hangs"), judge=judge_resumed,
                 output=from_resume),
    by_lightning("lightning-resume-unpaid", "payments", "resume", prepare=killed("hangs unpaid"), judge=judge_resumed,
                 output=from_resume, rare=True),
]
