using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Cli.Mcp;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>
/// The server of an assistant, on streams of the test and without a control plane; a real process that has one is asked in the end-to-end
/// tests. A second.
/// </summary>
public sealed class McpTests
{
    private const string Initialize = """{"jsonrpc":"2.0","id":1,"method":"initialize","params":"""
        + """{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""";

    [Fact]
    public async Task Tools_and_resources_are_told_and_none_of_them_changes_anything()
    {
        await using var server = new Server();
        Assert.Equal("dsops", (string?)(await server.Ask(1, Initialize))["result"]!["serverInfo"]!["name"]);
        var tools = (await server.Ask(2, "tools/list", null))["result"]!["tools"]!.AsArray();
        Assert.Equal(QuestionBook.Groups.Select(g => g.Name), tools.Select(t => (string)t!["name"]!));
        Assert.All(tools, tool => Assert.True((bool)tool!["annotations"]!["readOnlyHint"]!));
        Assert.Equal(QuestionBook.All.Select(q => q.Id),
            tools.SelectMany(t => t!["inputSchema"]!["properties"]!["question"]!["enum"]!.AsArray()).Select(id => (string)id!));
        Assert.Equal(2, (await server.Ask(3, "resources/list", null))["result"]!["resources"]!.AsArray().Count);
        Assert.Equal(2, (await server.Ask(4, "resources/templates/list", null))["result"]!["resourceTemplates"]!.AsArray().Count);
        await server.End();
    }

    [Fact]
    public async Task A_control_plane_that_is_away_is_answered_in_words_and_so_is_a_wrong_call()
    {
        await using var server = new Server();
        await server.Ask(1, Initialize);
        var away = (await server.Ask(2, "tools/call", Call("incidents", """{"question":"what-broke"}""")))["result"]!;
        Assert.True((bool)away["isError"]!);
        Assert.Contains("No control plane runs on", TextOf(away), StringComparison.Ordinal);
        Assert.Contains("dsops dev", TextOf(away), StringComparison.Ordinal);
        var healthy = (await server.Ask(3, "tools/call", Call("attention", """{"question":"healthy"}""")))["result"]!;
        Assert.StartsWith("No: No control plane runs on", (string?)healthy["structuredContent"]!["answer"], StringComparison.Ordinal);
        foreach (var (id, arguments, said) in new[]
        {
            (4, """{"question":"who-is-it"}""", "incidents answers what-broke, "), (5, """{"question":7}""", "question is no text"),
            (6, """{"question":"what-broke","since":"night"}""", "Write a whole number with s, m, h or d"),
            (7, "{}", "'' is no question of incidents."),
            (8, """{"question":"what-done","incident":-1}""", "incident is not a whole number from 1"),
            (9, """{"question":"what-broke","runn":"mini"}""", "incidents takes no 'runn'. It takes question, run, "),
            (11, """{"question":"what-broke","since":"2147483647m"}""", "'2147483647m' is not a time"),
        })
        {
            var refused = (await server.Ask(id, "tools/call", Call("incidents", arguments)))["result"]!;
            Assert.True((bool)refused["isError"]!, arguments);
            Assert.Contains(said, TextOf(refused), StringComparison.Ordinal);
        }

        await server.End();
    }

    [Fact]
    public async Task Garbage_unknown_tools_and_wrong_addresses_end_nothing()
    {
        await using var server = new Server();
        await server.Ask(1, Initialize);
        await server.Write("garbage");
        await server.Write("{\"jsonrpc\":\"2.0\",\"id\":");
        await server.Write("\u001b[2J[]");
        Assert.Contains("There is no tool 'cancel'. There are waiting, incidents,",
            (string?)(await server.Ask(2, "tools/call", Call("cancel", "{}")))["error"]!["message"], StringComparison.Ordinal);
        Assert.NotNull((await server.Ask(3, "runs/cancel", "{}"))["error"]);
        foreach (var (id, uri) in new[] { (4, "file:///etc/passwd"), (5, "dsops://runs/a/../b"), (6,
            "dsops://runs/mini/incidents/pretrain/x") })
        {
            Assert.Contains("is no address here", (string?)(await server.Ask(id, "resources/read",
                $$"""{"uri":"{{uri}}"}"""))["error"]!["message"],
                StringComparison.Ordinal);
        }

        Assert.Contains("No control plane runs on", (string?)(await server.Ask(7, "resources/read",
            """{"uri":"dsops://runs"}"""))["error"]!["message"],
            StringComparison.Ordinal);
        Assert.NotNull((await server.Ask(8, "ping", "{}"))["result"]);
        await server.End();
    }

    [Fact]
    public void A_resource_that_is_too_long_names_the_command_that_prints_it()
    {
        var run = new Run { Name = "mini", Reason = new string('x', McpResources.BytesMost) };
        Assert.Contains("`dsops show mini --json` prints it", McpResources.Bounded(run, "dsops show mini --json"),
            StringComparison.Ordinal);
        Assert.Equal("mini", (string?)JsonNode.Parse(McpResources.Bounded(new Run { Name = "mini" }, "x"))!["name"]);
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("")]
    public async Task Requests_that_are_piped_in_have_their_replies_before_it_ends(string afterLast)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-mcp-").FullName;
        var terminal = new Terminal(TextWriter.Null, TextWriter.Null, 80, false, false);
        var parsed = CommandLine.Build(terminal).Parse(["mcp", "--data-dir", folder]);
        string[] requests =
        [
            Initialize, new string('x', 100_000), "[]", """{"jsonrpc":"2.0","method":"notifications/initialized"}""",
            """{"jsonrpc":"2.0","id":"last","method":"tools/call","params":"""
                + Call("incidents", """{"question":"what-broke"}""") + "}",
        ];
        using var input = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', requests) + afterLast));
        using var output = new MemoryStream();
        await McpVerb.Serve(input, output, parsed, TestContext.Current.CancellationToken);
        string[] lines = Encoding.UTF8.GetString(output.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(lines, l => (string?)JsonNode.Parse(l)!["id"]?.ToString() == "1");
        Assert.Contains(lines, l => (string?)JsonNode.Parse(l)!["id"]?.ToString() == "last");
        Directory.Delete(folder);
    }

    private static string Call(string tool, string arguments) => $$"""{"name":"{{tool}}","arguments":{{arguments}}}""";

    private static string TextOf(JsonNode result) => (string?)result["content"]![0]!["text"] ?? "";

    private sealed class Server : IAsyncDisposable
    {
        private readonly Pipe toServer = new();
        private readonly Pipe fromServer = new();
        private readonly string folder = Directory.CreateTempSubdirectory("dsops-mcp-").FullName;
        private readonly StreamReader answers;
        private readonly Task serving;

        public Server()
        {
            answers = new StreamReader(fromServer.Reader.AsStream());
            var parsed = CommandLine.Build(new Terminal(TextWriter.Null, TextWriter.Null, 80, false, false)).Parse(["mcp", "--data-dir",
                folder]);
            serving = McpVerb.Serve(toServer.Reader.AsStream(), fromServer.Writer.AsStream(), parsed,
                TestContext.Current.CancellationToken);
        }

        public Task<JsonNode> Ask(int id, string method, string? arguments) =>
            Ask(id, $$"""{"jsonrpc":"2.0","id":{{id}},"method":"{{method}}"{{(arguments is null ? "" : $",\"params\":{arguments}")}}}""");

        /// <summary>Every line that comes back is JSON of the protocol.</summary>
        public async Task<JsonNode> Ask(int id, string message)
        {
            await Write(message);
            while (true)
            {
                var answer = JsonNode.Parse(await answers.ReadLineAsync(TestContext.Current.CancellationToken)
                    ?? throw new InvalidOperationException("the server has ended"))!;
                if ((int?)answer["id"] == id)
                {
                    return answer;
                }
            }
        }

        public async Task Write(string line) =>
            await toServer.Writer.WriteAsync(Encoding.UTF8.GetBytes($"{line}\n"), TestContext.Current.CancellationToken);

        /// <summary>With its input it ends by itself.</summary>
        public async Task End()
        {
            await toServer.Writer.CompleteAsync();
            await serving;
        }

        public async ValueTask DisposeAsync()
        {
            await toServer.Writer.CompleteAsync();
            await serving;
            answers.Dispose();
            Directory.Delete(folder);
        }
    }
}
