using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
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
            (12, """{"question":"what-done","incident":1.5}""", "incident is not a whole number from 1"),
            (13, """{"question":"what-done","incident":2147483648}""", "incident is not a whole number from 1"),
            // A whole number, however it is written: what it is about is asked then.
            (14, """{"question":"what-done","incident":1.0}""", "No control plane runs on"),
            (15, """{"question":"what-done","incident":2e1}""", "No control plane runs on"),
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

    /// <summary>They were called the server's own errors (-32603), or had no reply at all.</summary>
    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":["incidents"]}""", -32602, "params is a list. Write an object.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"incidents","arguments":"what-broke"}}""", -32602,
        "params.arguments of tools/call is a text. Write an object.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"arguments":{}}}""", -32602,
        "params.name of tools/call is missing. Write a text.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":7}}""",
        -32602, "params.uri of resources/read is a number.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"cursor":7}}""",
        -32602, "params.cursor of tools/list is of another kind")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientInfo":1}}}""", -32602,
        "clientInfo of another kind")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"incidents","arguments":{"question":"\ud800"}}}""",
        -32700,
        "Write whole characters.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"incidents","arguments":{"\udc00":1}}}""", -32700,
        "Write whole characters.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"incidents","name":"waiting"}}""",
        -32600, "a name twice")]
    [InlineData("""{"jsonrpc":"1.0","id":2,"method":"ping"}""", -32600, "jsonrpc is not \"2.0\".")]
    [InlineData("""{"jsonrpc":"2.0","id":2}""", -32600, "method is missing.")]
    [InlineData("""{"jsonrpc":"2.0","id":null,"method":"ping"}""", -32600, "id is null. Write a whole number or a text")]
    [InlineData("""{"jsonrpc":"2.0","id":"\ud800","method":"ping"}""", -32700, "Write whole characters.")]
    [InlineData("""{"\ud800":1,"jsonrpc":"2.0","id":2,"method":"ping"}""", -32700, "Write whole characters.")]
    [InlineData("""[{"jsonrpc":"2.0","id":2,"method":"ping"}]""", -32600, "The line is a list. Send one request a line, an object.")]
    [InlineData("""{"jsonrpc":"2.0","id":2,""", -32700, "The line is no JSON at byte 24.")]
    public async Task What_is_no_request_has_its_code_and_what_to_write_instead(string line, int code, string said)
    {
        var replies = await Served(Initialize, line);
        var error = Assert.Single(replies, r => r["error"] is not null)["error"]!;
        Assert.Equal(code, (int)error["code"]!);
        Assert.Contains(said, (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_of_two_megabytes_or_a_thousand_levels_is_refused_and_the_next_is_answered()
    {
        string deep = """{"jsonrpc":"2.0","id":3,"method":"ping","params":{"a":"""
            + new string('[', 1_000) + new string(']', 1_000) + "}}";
        var replies = await Served(Initialize, new string(' ', 2 << 20) + "{}", deep, """{"jsonrpc":"2.0","id":4,"method":"ping"}""");
        Assert.Equal([-32700, -32700], replies.Where(r => r["error"] is not null).Select(r => (int)r["error"]!["code"]!));
        Assert.Contains("1002 levels", (string)replies.Single(r => (int?)r["id"] == 3)["error"]!["message"]!, StringComparison.Ordinal);
        Assert.Contains(replies, r => (int?)r["id"] == 4 && r["result"] is not null);
    }

    /// <summary>Each request has a reply, none is an error of the server's own, and each error says something.</summary>
    [Fact]
    public Task Whatever_is_sent_has_a_reply_in_words_and_ends_nothing() => Lines.SampleAsync(async lines =>
    {
        string[] numbered = [.. lines.Select((line, i) => line.Replace("NUMBER", $"{i + 2}", StringComparison.Ordinal))];
        var replies = await Served([Initialize, .. numbered]);
        for (int i = 0; i < lines.Length; i++)
        {
            // A line that was cut or changed may have lost its number, or have another's.
            Assert.True(!lines[i].EndsWith(Whole, StringComparison.Ordinal) || replies.Any(r => $"{r["id"]}" == $"{i + 2}"), numbered[i]);
        }

        foreach (var error in replies.Select(r => r["error"]).OfType<JsonNode>())
        {
            Assert.NotEqual(-32603, (int)error["code"]!);
            Assert.Matches(@"\w+ \w+ \w+", (string)error["message"]!);
        }
    }, iter: 150);

    /// <summary>The server itself waits a minute for a reply that it owes.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Of lines of the generator that still are what it made.</summary>
    private const string Whole = " ";

    private static readonly Gen<string> Scalar = Gen.OneOf("null", "true", "0", "1", "1.0", "-1", "1e0", "1e400", "2147483648",
        "123456789012345678901234567890", "\"\"", "\"what-broke\"", "\"what-done\"", "\"incidents\"", "\"24h\"", "\"dsops://runs\"",
        "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\u0000\"", "\"\\ud83d\\ude00\"", "\"é\"", "\"2025-06-18\"");

    private static readonly Gen<string> Name = Gen.OneOf("name", "arguments", "question", "run", "since", "stage", "incident", "uri",
        "cursor", "_meta", "progressToken", "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/logLevel", "protocolVersion", "capabilities", "clientInfo", "requestId", "level", "\\ud800", "");

    private static readonly Gen<string> Value = Gen.Recursive<string>((depth, inner) => depth > 3 ? Scalar : Gen.Frequency<string>(
        (3, Scalar),
        (1, inner.Array[0, 3].Select(values => $"[{string.Join(',', values)}]")),
        (3, Gen.Select(Name, inner).Array[0, 5].Select(
            fields => $"{{{string.Join(',', fields.Select(f => $"\"{f.Item1}\":{f.Item2}"))}}}"))));

    private static readonly Gen<string> Request =
        from method in Gen.OneOf("tools/call", "tools/call", "tools/call", "resources/read", "tools/list", "resources/list", "ping",
            "resources/templates/list", "prompts/get", "completion/complete", "logging/setLevel", "initialize", "no/such",
            "server/discover")
        from call in Gen.Bool
        from value in Value
        from other in Gen.Frequency<string>((5, Gen.Const("")), (1, Gen.Select(Name, Value, (name, of) => $"\"{name}\":{of},")))
        select "{" + other + $$"""
            "jsonrpc":"2.0","id":NUMBER,"method":"{{method}}","params":
            """
            + (call ? $$"""{"name":"incidents","arguments":{{value}}}""" : value) + "}" + Whole;

    /// <summary>As they are, cut, or with one character changed.</summary>
    private static readonly Gen<string[]> Lines = Gen.Frequency<string>(
        (4, Request),
        (1, Gen.Select(Request, Gen.Double[0, 1], (line, at) => line[..(int)(at * (line.Length - 1))].TrimEnd())),
        (1, Gen.Select(Request, Gen.Double[0, 1], Gen.Char[' ', '~'], Changed))).Array[1, 12];

    private static string Changed(string line, double at, char put)
    {
        int index = (int)(at * (line.Length - 1));
        return line[..index] + put + line[(index + 1)..].TrimEnd();
    }

    /// <summary>What is told of lines that are piped in.</summary>
    private static async Task<JsonNode[]> Served(params string[] lines)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-mcp-").FullName;
        var terminal = new Terminal(TextWriter.Null, TextWriter.Null, 80, false, false);
        var parsed = CommandLine.Build(terminal).Parse(["mcp", "--data-dir", folder]);
        using var input = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', lines)));
        using var output = new MemoryStream();
        try
        {
            await McpVerb.Serve(input, output, parsed, TestContext.Current.CancellationToken).WaitAsync(Patience,
                TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            Assert.Fail(string.Join('\n', lines.Prepend("It goes on although its input has ended:")));
        }

        Directory.Delete(folder);
        return [.. Encoding.UTF8.GetString(output.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonNode.Parse(line)!)];
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
        string[] requests =
        [
            Initialize, new string('x', 100_000), "[]", """{"jsonrpc":"2.0","method":"notifications/initialized"}""",
            """{"jsonrpc":"2.0","id":"last","method":"tools/call","params":"""
                + Call("incidents", """{"question":"what-broke"}""") + "}",
        ];
        requests[^1] += afterLast;
        var replies = await Served(requests);
        Assert.Contains(replies, r => r["id"]?.ToString() == "1");
        Assert.Contains(replies, r => r["id"]?.ToString() == "last");
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
