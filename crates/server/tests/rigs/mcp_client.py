"""The official Python SDK as an MCP client, driven from stdin.

Options, as JSON in the first argument: url, bearer, mode ("auto", "legacy" or a modern revision).
It prints { ready, protocol_version, server } or { failed }, then reads one JSON line per call and prints
one JSON line back:
  { "call": "tools/call" | "resources/read" | "prompts/get", "params": {...} }  -> { result } or { error }
  { "list": "tools" | "resources" | "resource_templates" | "prompts" }         -> { result: [...] }
"""

import asyncio
import json
import sys

from mcp import Client, MCPError
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

OPTIONS = json.loads(sys.argv[1])


def say(fact):
    print(json.dumps(fact), flush=True)


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def listed(client, what):
    if what == "tools":
        return (await client.list_tools()).tools
    if what == "resources":
        return (await client.list_resources()).resources
    if what == "resource_templates":
        return (await client.list_resource_templates()).resource_templates
    return (await client.list_prompts()).prompts


async def called(client, method, params):
    if method == "tools/call":
        return await client.call_tool(params["name"], params.get("arguments"))
    if method == "resources/read":
        return await client.read_resource(params["uri"])
    return await client.get_prompt(params["name"], params.get("arguments"))


async def attempt(client, command):
    try:
        if "list" in command:
            return {"result": [plain(item) for item in await listed(client, command["list"])]}
        return {"result": plain(await called(client, command["call"], command.get("params", {})))}
    except MCPError as error:
        return {"error": plain(error.error)}


async def main():
    headers = {"Authorization": f"Bearer {OPTIONS['bearer']}"}
    async with create_mcp_http_client(headers=headers) as http:
        transport = streamable_http_client(OPTIONS["url"], http_client=http)
        async with Client(transport, mode=OPTIONS.get("mode", "auto")) as client:
            version = client.protocol_version
            say({"ready": True, "protocol_version": version, "server": client.server_info and plain(client.server_info)})
            while line := await asyncio.to_thread(sys.stdin.readline):
                say(await attempt(client, json.loads(line)))


asyncio.run(main())
