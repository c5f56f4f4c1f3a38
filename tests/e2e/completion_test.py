"""The completion scripts, in the shells that they are for: what Tab offers."""

import os
import pathlib
import pty
import re
import select
import subprocess
import tempfile
import time
import unittest

from lab import PAYCURL, PAYER_KEY, ROOT, Devnet, Home, check_canary

net = None
home = None
folder = None
payment = session = ""


def setUpModule():
    global net, home, folder, payment, session
    net = Devnet()
    home = Home(key=None, rpc=net.rpc_url)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-completion-", dir=home.path))
    (folder / "report one.json").write_text("")
    (folder / "reports").mkdir()
    password = folder / "password"
    password.write_text("p")
    for name in ("savings", "spending"):
        home.run("account", "import", name, "--store", "file", "--password-file", password, stdin=PAYER_KEY.encode())
    for path in ("/charge", "/session"):
        done = home.run("-a", "savings", "--password-file", password, net.url + path)
        assert done.code == 0, done
    payment = home.run("payments", "list", "-j").json["payments"][-1]["id"]
    session = home.run("sessions", "list", "-j").json["sessions"][0]["id"]
    home.env["PATH"] = f"{pathlib.Path(PAYCURL).parent}:{home.env['PATH']}"


def tearDownModule():
    Zsh.stop()
    check_canary(PAYER_KEY)
    net.stop()


class Bash:
    """COMPREPLY, as readline would make COMP_WORDS and the rest."""

    HARNESS = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \t\n"'"'"'><=;|&(:'
read -ra COMP_WORDS <<< "$(sed 's/[=:]/ & /g' <<< "$COMP_LINE")"
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_paycurl
printf '%s\n' "${COMPREPLY[@]}"
"""
    script = ROOT / "completions/paycurl.bash"

    def complete(self, line):
        done = subprocess.run(["bash", "--norc", "-c", self.HARNESS, "bash", str(self.script), line], env=home.env,
                              cwd=folder, capture_output=True, text=True, timeout=60)
        assert not done.stderr, done.stderr
        return {word for word in done.stdout.split("\n") if word}


class Fish:
    script = ROOT / "completions/paycurl.fish"

    def complete(self, line):
        done = subprocess.run(["fish", "--no-config", "-c", 'source $argv[1]; complete -C $argv[2]', str(self.script), line],
                              env=home.env, cwd=folder, capture_output=True, text=True, timeout=60)
        assert not done.stderr, done.stderr
        return {word.split("\t")[0] for word in done.stdout.split("\n") if word}


class Zsh:
    """What Tab finds in an interactive shell, one for all questions."""

    script = ROOT / "completions/_paycurl"
    RC = r"""
fpath=(%s $fpath)
autoload -U compinit
compinit -u -D
PS1='%%%% '
LISTMAX=10000
compadd() {  # writes down what matches
  if [[ ${argv[(I)-[OAD]]} -eq 0 ]]; then
    local -a matching
    builtin compadd -O matching "$@"
    print -rl -- ${(@)matching/#/HIT=} >> $HITS
  fi
  builtin compadd "$@"
}
complete-it() { zle complete-word; zle kill-whole-line; print DONE >> $HITS }
zle -N complete-it
bindkey '^I' complete-it
print READY >> $HITS
"""
    shell = None

    def __init__(self):
        if Zsh.shell is None:
            Zsh.start()

    @classmethod
    def start(cls):
        functions = folder / "zsh"
        functions.mkdir()
        (functions / "_paycurl").write_bytes(cls.script.read_bytes())
        (folder / ".zshrc").write_text(cls.RC % functions)
        cls.hits = folder / "hits"
        cls.hits.write_text("")
        cls.shell, cls.fd = pty.fork()
        if cls.shell == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-i"], {**home.env, "ZDOTDIR": str(folder), "TERM": "dumb", "HITS": str(cls.hits)})
        cls.wait_for("READY")

    @classmethod
    def stop(cls):
        if cls.shell:
            os.close(cls.fd)  # hangs up
            os.waitpid(cls.shell, 0)

    @classmethod
    def wait_for(cls, word):
        end = time.monotonic() + 60
        while word not in cls.hits.read_text():
            assert time.monotonic() < end, "zsh does not answer"
            if select.select([cls.fd], [], [], 0.02)[0]:
                os.read(cls.fd, 65536)

    def complete(self, line):
        self.hits.write_text("")
        os.write(self.fd, line.encode() + b"\t")
        self.wait_for("DONE")
        return set(re.findall(r"^HIT=(.+)$", self.hits.read_text(), re.M))


class Completion(unittest.TestCase):
    def offers(self, line, *wanted, but_not=()):
        for shell in (Bash(), Fish(), Zsh()):
            with self.subTest(shell=type(shell).__name__, line=line):
                found = {word.rstrip(" =/").replace("\\ ", " ") for word in shell.complete(line)}
                self.assertFalse(set(wanted) - found, found)
                self.assertFalse(set(but_not) & found, found)

    def test_commands(self):
        self.offers("paycurl s", "sessions", but_not=["account"])

    def test_verbs(self):
        self.offers("paycurl sessions ", "list", "show", "close", "sync", "import")

    def test_options(self):
        self.offers("paycurl --max-", "--max-spend", "--max-deposit", "--max-fee", "--max-time", but_not=["--inspect"])
        self.offers("paycurl payments list --st", "--status", but_not=["--store"])

    def test_values_of_a_list(self):
        self.offers("paycurl --network ", "mainnet", "testnet")
        self.offers("paycurl --protocol m", "mpp", but_not=["l402"])
        self.offers("paycurl payments list --format ", "json", "csv")
        self.offers("paycurl completions ", "bash", "zsh", "fish")

    def test_accounts(self):
        self.offers("paycurl -a s", "savings", "spending")
        self.offers("paycurl --account sa", "savings", but_not=["spending"])
        self.offers("paycurl account show s", "savings", "spending")

    def test_sessions(self):
        self.offers("paycurl sessions close 0x", session)
        self.offers("paycurl --session ", "auto", "new", session)

    def test_payments(self):
        self.offers("paycurl payments show " + payment[:3], payment)
        self.offers("paycurl payments list ", but_not=[payment])

    def test_hosts(self):
        self.offers("paycurl payments list --host 127", "127.0.0.1")

    def test_files(self):
        self.offers("paycurl --key-file rep", "report one.json", "reports", but_not=["savings"])
        self.offers("paycurl -o rep", "report one.json", "reports")
        self.assertEqual(Bash().complete("paycurl --capath rep"), {"reports"})

    def test_urls(self):
        self.assertEqual(Fish().complete("paycurl http"), {net.url + "/"})
        # What stands before the last colon stays on the line.
        self.assertEqual(Bash().complete("paycurl http"), {net.url + "/"})
        self.assertEqual(Bash().complete("paycurl http:"), {(net.url + "/").removeprefix("http:")})
        self.assertEqual(Bash().complete("paycurl -s " + net.url[:-2]), {net.url.rsplit(":", 1)[1] + "/"})

    def test_hosts_of_the_config(self):
        config = home.path / "named.toml"
        config.write_text('[host."api.example.com"]\nmax_spend = "1"\n[host."*.example.org"]\ndeny = true\n')
        config.chmod(0o600)
        words = home.run("completions", "words", "urls", env={"PAYCURL_CONFIG": str(config)}).out.decode()
        self.assertIn("https://api.example.com/\tof the config\n", words)
        self.assertNotIn("example.org", words)
        config.write_text("nonsense")
        self.assertNotIn("of the config", home.run("completions", "words", "urls",
                                                   env={"PAYCURL_CONFIG": str(config)}).out.decode())

    def test_joined_value(self):
        self.assertEqual(Bash().complete("paycurl --network=test"), {"testnet"})
        self.assertEqual(Fish().complete("paycurl --network=test"), {"--network=testnet"})


class Words(unittest.TestCase):
    def test_silent_without_a_journal(self):
        for kind in ("accounts", "sessions", "payments", "hosts", "urls", "nonsense"):
            done = Home(key=None).run("completions", "words", kind)
            self.assertEqual((done.code, done.out, done.err), (0, b"", b""), kind)

    def test_silent_with_a_broken_journal(self):
        broken = Home(key=None)
        broken.state.mkdir(parents=True, mode=0o700)
        (broken.state / "paycurl.db").write_text("not a database")
        done = broken.run("completions", "words", "hosts")
        self.assertEqual((done.code, done.out, done.err), (0, b"", b""))

    def test_nothing_is_asked(self):
        """No keychain: there is no bus. No file is made."""
        empty = Home(key=None, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")
        self.assertEqual(empty.run("completions", "words", "accounts").code, 0)
        self.assertFalse(list(empty.path.iterdir()))

    def test_what_a_shell_would_run_is_left_out(self):
        other = Home(key=None)
        keys = other.path / ".local/share/paycurl/keys"
        keys.mkdir(parents=True, mode=0o700)
        for name in ("fine", "$(touch x)", "`touch x`", "a;b", "-rf"):
            (keys / f"{name}.json").write_text("{}")
        self.assertEqual(other.run("completions", "words", "accounts").text.split(), ["fine", "tempo"])


if __name__ == "__main__":
    unittest.main()
