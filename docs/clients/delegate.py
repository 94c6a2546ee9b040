#!/usr/bin/env python3
"""Hands a task to an agent, waits, prints what came of it: delegate.py SOCKET DIRECTORY AGENT TASK"""
import json
import socket
import sys
import uuid

path, directory, agent, task = sys.argv[1:]
akkd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
akkd.connect(path)
lines = akkd.makefile("rw", encoding="utf-8", newline="\n")


def call(method, **params):  # one call at a time, so the next line is its answer
    lines.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
    lines.flush()
    answer = json.loads(lines.readline() or sys.exit("akkd is gone"))
    if "error" in answer:
        sys.exit(f"{answer['error']['message']}\nhint: {answer['error'].get('data', {}).get('hint', '')}")
    return answer["result"]


if call("daemon.info")["protocol"] != 1:
    sys.exit("this akkd speaks another protocol")
# A request_id of our own would let us repeat the call after a broken connection: it is carried out once.
task_begun = call("conversation.delegate", request_id=str(uuid.uuid4()), request=task, workspace=directory, agent=agent)
id, need = task_begun["conversation"]["conversation_id"], None
while need is None:  # one wait lasts an hour at most
    need = call("conversation.wait", conversation_id=id, timeout_ms=3_600_000)["need"]
result = call("conversation.result", conversation_id=id)["result"]
print(f"{id}: {need}", (result.get("message") or {}).get("body") or result.get("text", ""), sep="\n")
