"""What a user's program does with QRMI: `qrmi_session.py RESOURCE DONE_JOB LONG_JOB`; prints what it saw as JSON."""

import json
import sys

from qrmi import Payload, QuantumResource, ResourceType  # type: ignore[import-not-found,import-untyped,unused-ignore]


def attempt(call: object) -> str:
    try:
        return str(call())  # type: ignore[operator]
    except Exception as error:  # the client raises what it likes
        return f"refused: {error}"


name, done, long = sys.argv[1:]
qpu = QuantumResource(name, ResourceType.PasqalLocal)
seen = {"accessible": qpu.is_accessible(), "acquired": qpu.acquire()}
seen["target"] = attempt(lambda: qpu.target().value)
seen["start"] = attempt(lambda: qpu.task_start(Payload.PasqalCloud(sequence="{}", job_runs=10)))
seen["status"] = str(qpu.task_status(done)).rpartition(".")[2]
seen["result"] = attempt(lambda: qpu.task_result(done).value)
seen["logs"] = attempt(lambda: qpu.task_logs(done))
seen["long_before"] = str(qpu.task_status(long)).rpartition(".")[2]
seen["stop"] = attempt(lambda: qpu.task_stop(long))
seen["release"] = attempt(lambda: qpu.release(seen["acquired"]))
print(json.dumps(seen))
