"""The examples of docs that are marked ``sh run`` do what they say: each is run as it stands there, against the local shop."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from lab import ALL_OUTPUT, PAYCURL, PAYER_KEY, ROOT, Devnet, Home, check_canary

EXAMPLES = {"https://api.example.com/v1/report": "/charge", "https://api.example.com/v1/stream": "/session/sse"}
net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    check_canary(PAYER_KEY)
    net.stop()


class Guides(unittest.TestCase):
    def run_all(self, name, key=PAYER_KEY):
        """Runs the examples of a guide one after the other, in one folder and one home."""
        text = (ROOT / "docs" / name).read_text()
        blocks = re.findall(r"^```sh run\n(.*?)^```", text, re.M | re.S)
        self.assertTrue(blocks, f"docs/{name} has no example that is run")
        home = Home(key=key, rpc=net.rpc_url)
        env = {**home.env, "PATH": f"{pathlib.Path(PAYCURL).parent}:{home.env['PATH']}"}
        for block in blocks:
            for example, path in EXAMPLES.items():
                block = block.replace(example, net.url + path)
            done = subprocess.run(["bash", "-eu", "-c", block], env=env, cwd=home.path, capture_output=True,
                                  timeout=120)
            ALL_OUTPUT.extend((done.stdout, done.stderr))
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout.decode()}\n{done.stderr.decode()}")

    def test_first_payment(self):
        self.run_all("first-payment.md", key=None)

    def test_cookbook(self):
        self.run_all("cookbook.md")

    def test_migrating(self):
        self.run_all("migrating.md")

    def test_no_other_guide_has_such_examples(self):
        marked = {path.name for path in (ROOT / "docs").glob("*.md") if "```sh run\n" in path.read_text()}
        self.assertEqual(marked, {"first-payment.md", "cookbook.md", "migrating.md"})


if __name__ == "__main__":
    unittest.main()
