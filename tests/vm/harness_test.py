# SPDX-License-Identifier: BSD-2-Clause
"""Claims about the pure parts of the harness. Run by ctest (label unit)."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from harness import cpio, images, journal, machine, scenario
from harness.common import HarnessError


class Headers(unittest.TestCase):
    """The "# key: value" lines."""

    def test_only_the_first_comment_block_counts(self):
        text = "#!/bin/bash\n# What it claims.\n# timeout: 90\n#  cmdline:  a=b c \n. lib\n# boots: 3\n"
        self.assertEqual(scenario.headers(text), {"timeout": "90", "cmdline": "a=b c"})

    def test_prose_with_a_colon_is_no_header(self):
        self.assertEqual(scenario.headers("# note: something\n"), {})

    def test_every_scenario_can_be_loaded(self):
        self.assertIn("smoke", scenario.names())
        for name in scenario.names():
            self.assertEqual(scenario.load(name).name, name)

    def test_two_scripts_are_one_scenario(self):
        self.assertEqual(sorted(scenario.load("two-guests").scripts), ["a", "b"])


class EmulatorFailed(unittest.TestCase):
    """A guest that died of QEMU is told from one that died of itself."""

    def test_only_a_stray_breakpoint_of_the_kernel_counts(self):
        with tempfile.TemporaryDirectory() as directory:
            console = pathlib.Path(directory) / "boot-2" / "console"
            console.parent.mkdir()
            console.write_text("[ 1.0] BUG: kernel NULL pointer dereference\n[ 1.0] Oops: 0002 [#1]\n")
            self.assertFalse(machine.emulator_failed(pathlib.Path(directory)))
            console.write_bytes(b"\xff[?7h[   10.333272] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\n")
            self.assertTrue(machine.emulator_failed(pathlib.Path(directory)))


class Hang(unittest.TestCase):
    """A machine whose kernel never gets to its first process."""

    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        initrd = self.directory / "given"
        initrd.write_bytes(b"initrd")
        self.boot = machine.Boot("", self.directory / "boot", None, initrd, None, "raw", [], 1, 1, says_hello=True)
        self.enterContext(unittest.mock.patch.object(machine, "START_LIMIT", 0.5))
        self.started = 0

    def run_as_machine(self, *scripts):
        """Runs the boot with shell scripts in qemu's place, one a start."""

        def command_line(boot, _):
            self.started += 1
            return ["sh", "-c", scripts[min(self.started, len(scripts)) - 1], "sh", str(boot.directory / "console")]

        with unittest.mock.patch.object(machine, "command_line", command_line):
            with unittest.mock.patch.object(machine, "say"):
                return machine.run_boot(self.boot, False, 20)

    def test_is_started_again(self):
        self.assertEqual(self.run_as_machine("exec sleep 60", 'echo hello >"$1"; sleep 1'), "")
        self.assertEqual(self.started, 2)

    def test_is_not_started_for_ever(self):
        self.assertIn("first process", self.run_as_machine("exec sleep 60"))
        self.assertEqual(self.started, machine.STARTS)

    def test_is_told_from_a_machine_that_ends(self):
        self.assertIn("status 9", self.run_as_machine("exit 9"))
        self.assertEqual(self.started, 1)


class SideBySide(unittest.TestCase):
    """Two machines of one scenario."""

    def test_results_are_in_order(self):
        self.assertEqual(machine.side_by_side([lambda: 1, lambda: 2]), [1, 2])

    def test_when_one_fails_the_other_is_stopped(self):
        process = subprocess.Popen(["sleep", "60"])
        machine.RUNNING.add(process)
        self.addCleanup(machine.RUNNING.discard, process)

        def fails():
            raise HarnessError("no disk")

        with self.assertRaisesRegex(HarnessError, "no disk"):
            machine.side_by_side([process.wait, fails])
        self.assertLess(process.returncode, 0)


class Export(unittest.TestCase):
    """The journal's export format."""

    def test_text_and_binary_fields_are_read(self):
        data = b"A=1\nB\n\x03\0\0\0\0\0\0\0x\ny\nC=2\n\nA=3\n"
        self.assertEqual(list(journal.parse_export(data)), [{"A": "1", "B": "x\ny", "C": "2"}, {"A": "3"}])

    def test_a_cut_off_field_ends_the_reading(self):
        self.assertEqual(list(journal.parse_export(b"A=1\n\nB\n\x09\0\0\0\0\0\0\0x")), [{"A": "1"}])

    def test_the_timeline_is_sorted_and_has_marks_units_and_modules(self):
        entries = [
            {"__MONOTONIC_TIMESTAMP": "3000", "MESSAGE_ID": journal.STARTED, "UNIT": "a.service", "MESSAGE": "up"},
            {"__MONOTONIC_TIMESTAMP": "9000", "_SOURCE_MONOTONIC_TIMESTAMP": "1000", "KMOD": "m", "MESSAGE": "in"},
            {"__MONOTONIC_TIMESTAMP": "4000", "MESSAGE": "chatter"},
        ]
        kinds = [(e.kind, e.ms) for e in journal.timeline(entries, "2 mark\nbroken\n")]
        self.assertEqual(kinds, [("module", 1.0), ("mark", 2.0), ("unit-started", 3.0)])


class Archive(unittest.TestCase):
    """The cpio writer, read back by whatever is there to read it."""

    def test_files_modes_and_links_survive(self):
        with tempfile.TemporaryDirectory() as name:
            source = pathlib.Path(name)
            (source / "lib").mkdir()
            (source / "lib/run").write_text("#!/bin/sh\n")
            (source / "lib/run").chmod(0o755)
            (source / "link").symlink_to("lib/run")
            archive = cpio.Writer()
            archive.tree("over", source)
            data = archive.bytes()
        self.assertEqual(len(data) % 4, 0)
        for word in (b"over/usr/lib/run\0", b"over/link\0", b"TRAILER!!!\0", b"000081ED", b"0000A1FF"):
            self.assertIn(word, data)
        reader = shutil.which("cpio") or shutil.which("bsdcpio")
        if reader:
            listed = subprocess.run([reader, "-t"], input=data, stdout=subprocess.PIPE, check=True).stdout
            self.assertIn("over/usr/lib/run", listed.decode().split())


class Inputs(unittest.TestCase):
    """What images are made of."""

    def test_a_line_for_another_release_is_left_out(self):
        self.assertIn("libspdlog1.10", images.package_list("rootfs", images.RELEASES["debian12"]))
        self.assertNotIn("libspdlog1.10", images.package_list("rootfs", images.RELEASES["debian13"]))


STOPPED_RUN = """
import concurrent.futures, subprocess
from harness import machine
from harness.common import main_guard

def wait():
    with subprocess.Popen(["sleep", "60"]) as process:
        machine.RUNNING.add(process)
        print("up", flush=True)
        process.wait()

def main(_):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            pool.submit(wait).result()
        except KeyboardInterrupt:
            machine.stop_all()
            raise

main_guard(main)
"""


class Ending(unittest.TestCase):
    """What becomes of machines when the harness is told to stop."""

    def test_sigterm_ends_the_machines_and_then_the_run(self):
        command = [sys.executable, "-c", STOPPED_RUN]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=pathlib.Path(__file__).parent) as process:
            self.assertEqual(process.stdout.readline(), b"up\n")
            process.terminate()
            self.assertEqual(process.wait(20), 130)


if __name__ == "__main__":
    unittest.main()
