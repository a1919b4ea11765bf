"""Uses /mcp as an assistant does, by the client of the protocol's own Python SDK."""

import asyncio
import json
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main():
    headers = {"Authorization": f"Bearer {os.environ['API_KEY']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        transport = streamable_http_client(f"{os.environ['API_URL']}/mcp", http_client=http)
        async with Client(transport) as assistant:
            tools = {tool.name for tool in (await assistant.list_tools()).tools}
            assert tools == {"ask", "list_alerts", "get_entry", "history", "add_note"}, tools

            async def use(tool, **arguments):
                result = await assistant.call_tool(tool, arguments)
                assert not result.is_error, (tool, result)
                return json.loads(result.content[0].text)

            listed = await use("list_alerts", status="firing", alertname="DiskFull")
            pattern = listed["alerts"][0]["entryId"]
            answer = await use("ask", query="disk full on db-1", limit=3)
            assert pattern in answer["sources"], answer
            noted = await use("add_note", id=pattern, text="An assistant was here")
            assert noted == await use("get_entry", id=pattern)
            assert (await use("history", days=1))["alertsCount"] >= 1
            refused = await assistant.call_tool("list_alerts", {"limit": 5000})
            assert refused.is_error, refused


asyncio.run(main())
