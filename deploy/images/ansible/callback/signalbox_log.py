# The log of a step: Ansible's own, without what it tells of tasks that have no_log.

from __future__ import annotations

from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
    name: signalbox_log
    type: stdout
    short_description: The default output, with no_log kept
    description:
        - Like the default callback, which hides the result of a task with no_log, but prints the message of its error.
    extends_documentation_fragment:
        - default_callback
        - result_format_callback
"""


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "signalbox_log"

    def _handle_exception(self, result, use_stderr=False):
        if "censored" in result:
            result.pop("exception", None)
        super()._handle_exception(result, use_stderr)
