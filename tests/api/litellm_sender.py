"""LiteLLM itself as a sender: mocked completions through its own generic_api logger until standard input closes.

Run by test_push_killed with the Python of an environment that holds litellm (`make killed-litellm`). Prints the ids of every record whose
body was answered 200: what the logger holds to be delivered.
"""

import asyncio
import json
import sys
import threading
from typing import Any

import litellm
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger


async def main(url: str, token: str) -> None:
    litellm.suppress_debug_info = True
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    logger = GenericAPILogger(
        endpoint=f"{url}/ingest/litellm",
        headers={"Authorization": f"Bearer {token}"},
        max_retries=4,
        retry_delay=0.25,
        timeout=10,
        batch_size=10,
        flush_interval=1,
    )
    send = logger.async_httpx_client.post

    async def post(**asked: Any) -> Any:
        answer = await send(**asked)
        if answer.status_code == 200:
            for record in json.loads(asked["data"]):
                sys.stdout.write(f"{record['id']}\n")
            sys.stdout.flush()
        return answer

    logger.async_httpx_client.post = post  # type: ignore[method-assign]
    litellm.callbacks = [logger]
    while not stop.is_set():
        calls = [litellm.acompletion("gpt-4o", [{"role": "user", "content": "hello"}], mock_response="hi") for _ in range(20)]
        await asyncio.gather(*calls)
        await asyncio.sleep(0.1)
    await asyncio.sleep(3)


asyncio.run(main(*sys.argv[1:3]))
