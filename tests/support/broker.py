"""What the broker holds, asked of nats-server's own monitoring port and over JetStream."""

import asyncio

import nats

from support.http import Http


def streams(system) -> dict[str, dict]:
    """State of every stream by name: messages, last_seq…"""
    answer = Http(f"http://{system.address('nats', 'admin')}").get("/jsz", streams="true")
    assert answer.status == 200, answer
    return {stream["name"]: stream["state"] for account in answer.json.get("account_details", []) for stream in account.get("stream_detail", [])}


def dead_letters(system) -> int:
    return streams(system).get("DEADLETTERS", {"messages": 0})["messages"]


def subjects(system, stream: str, filter: str = ">") -> dict[str, int]:
    """How many messages a stream holds of each subject."""

    async def ask():
        connection = await nats.connect(f"nats://{system.address('nats', 'client')}", connect_timeout=5)
        try:
            return (await connection.jetstream(timeout=10).stream_info(stream, subjects_filter=filter)).state.subjects or {}
        finally:
            await connection.close()

    return asyncio.run(ask())
