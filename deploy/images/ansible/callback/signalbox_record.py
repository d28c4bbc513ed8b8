# Ansible loads this beside the callback that prints the log. It writes what the runner needs to know about a run to the
# file that SIGNALBOX_ANSIBLE_RECORD names, so that nobody has to read the log for it.

from __future__ import annotations

import json
import os

from ansible.executor.stats import AggregateStats
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: signalbox_record
    type: notification
    short_description: Records statistics, failures and set_stats for the runner of Signalbox
    description:
        - Writes one JSON object to the file that SIGNALBOX_ANSIBLE_RECORD names, and does nothing without it.
"""

# Longer messages would not fit into the status of a step.
LONGEST_MESSAGE = 2000
HIDDEN = "the task has no_log, so its result is not shown"
SET_STATS = ("set_stats", "ansible.builtin.set_stats", "ansible.legacy.set_stats")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "signalbox_record"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.path = os.environ.get("SIGNALBOX_ANSIBLE_RECORD")
        self.disabled = self.path is None
        self.plays = 0
        self.unmatched = 0
        self.task = None
        self.troubles = {}
        # Ansible's own statistics also hold what tasks with no_log gave to set_stats. These are added up from the
        # results that callbacks may see, by Ansible's own rules.
        self.shown = AggregateStats()

    def v2_playbook_on_play_start(self, play):
        self.plays += 1

    def v2_playbook_on_no_hosts_matched(self):
        self.unmatched += 1

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.task = task.get_name()
        # Kept up to date, for a run that is interrupted.
        self._write()

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result):
        if result.task.action in SET_STATS:
            self._add_outputs(result.result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not ignore_errors:
            self._trouble(result, message_of(result.result))

    def v2_runner_on_unreachable(self, result):
        self._trouble(result, message_of(result.result))

    def v2_playbook_on_stats(self, stats):
        self._write({host: stats.summarize(host) for host in stats.processed})

    def _trouble(self, result, message):
        # The last failure of a host is the one that ended it: a rescue may have mended those before.
        host = result.host.get_name()
        self.troubles.pop(host, None)
        self.troubles[host] = {"task": result.task.get_name(), "message": message[:LONGEST_MESSAGE]}

    def _add_outputs(self, result):
        for item in result.get("results", [result]):
            stats = item.get("ansible_stats") or {}
            if stats.get("per_host"):
                continue
            add = self.shown.update_custom_stats if stats.get("aggregate") else self.shown.set_custom_stats
            for name, value in stats.get("data", {}).items():
                add(name, value)

    def _write(self, hosts=None):
        record = {
            "hosts": hosts,
            "plays": self.plays,
            "unmatched": self.unmatched,
            "task": self.task,
            "troubles": self.troubles,
            "outputs": self.shown.custom.get("_run", {}),
        }
        unfinished = self.path + ".new"
        with open(unfinished, "w", encoding="utf-8") as file:
            # What is no JSON may be a secret that Ansible Vault would decrypt to print it.
            json.dump(record, file, default=lambda value: "***")
        os.replace(unfinished, self.path)


def message_of(result):
    if "censored" in result:
        return HIDDEN
    for item in result.get("results") or []:
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            return message_of(item)
    message = str(result.get("msg", "")).strip()
    details = (str(result.get("stderr", "")) or str(result.get("module_stderr", ""))).strip()
    return f"{message}: {details.splitlines()[-1]}" if details else message or "no message"
