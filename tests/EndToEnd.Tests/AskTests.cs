using System.Diagnostics;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli.Questions;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// Questions about the run that pages are looked at on, whose rank was killed. Three processes of some seconds of a core beside a fixture
/// that is there already.
/// </summary>
[Collection(nameof(LiveRun))]
public sealed class AskTests(LiveRun live)
{
    [Fact]
    public async Task An_assistant_asks_everything_of_a_run_that_lost_a_rank_and_a_terminal_is_told_the_same()
    {
        using var process = live.Dsops.Talk("mcp");
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await Ask(process, 1, "initialize",
            """{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""");
        await process.StandardInput.WriteLineAsync("this is no message");
        var answers = new Dictionary<string, JsonNode>();
        foreach (var (group, question) in QuestionBook.Groups.SelectMany(g => g.Questions.Select(q => (g, q))))
        {
            string run = question.About == About.All ? "" : ",\"run\":\"live\"";
            var told = await Ask(process, 2 + answers.Count, "tools/call",
                $"{{\"name\":\"{group.Name}\",\"arguments\":{{\"question\":\"{question.Id}\"{run}}}}}");
            Assert.True(told["result"]?["isError"] is not JsonValue error || !(bool)error, $"{question.Id}: {told.ToJsonString()}");
            answers[question.Id] = told["result"]!["structuredContent"]!;
        }

        var unknown = await Ask(process, 90, "tools/call", """{"name":"cancel"}""");
        Assert.Contains("There is no tool 'cancel'", (string?)unknown["error"]!["message"], StringComparison.Ordinal);
        string text = (string?)(await Ask(process, 91, "resources/read", """{"uri":"dsops://runs/live/incidents/pretrain/1"}"""))
            ["result"]!["contents"]![0]!["text"] ?? "";
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), (process.ExitCode, await errors));

        // What the incident itself says is the truth that each answer is held against.
        var incident = JsonNode.Parse(text)!["incident"]!;
        Assert.Equal(0, (int?)incident["diagnosis"]!["rank"]);
        Assert.StartsWith("Rank 0 on node-0 is to blame: ", Said("who-guilty"), StringComparison.Ordinal);
        Assert.StartsWith($"{(long?)incident["stepsLost"]} step", Said("steps-lost"), StringComparison.Ordinal);
        Assert.StartsWith("Yes, and that was verified: ", Said("did-it-work"), StringComparison.Ordinal);
        Assert.StartsWith("It cost ", Said("incident-cost"), StringComparison.Ordinal);
        Assert.NotEmpty(answers["last-line"]["quoted"]!.AsArray());
        Assert.Contains("1 was fixed and verified", Said("what-broke"), StringComparison.Ordinal);
        Assert.StartsWith("live/pretrain would go on from step ", Said("resume-from"), StringComparison.Ordinal);
        Assert.Contains(" tokens/s", Said("how-fast"), StringComparison.Ordinal);
        Assert.Contains(" submitted it", Said("who-asked"), StringComparison.Ordinal);
        Assert.All(answers.Values,
            one => Assert.StartsWith(live.Dsops.Http, (string?)one["evidence"]![0]!["page"], StringComparison.Ordinal));

        var (code, output, _) = await live.Dsops.Verb("ask", "live", "which rank is to blame?");
        Assert.Equal(0, code);
        Assert.StartsWith(Said("who-guilty"), output, StringComparison.Ordinal);
        string line = $"show --data-dir {live.Dsops.DataDirectory} li";
        // A shell waits two seconds for names and then has none: on a busy machine a person presses the key again.
        await Eventually.Is("the name of the run is offered", Eventually.Patience,
            async () => (await Dsops.Run($"[suggest:{line.Length}]", line)).Output.Trim() == "live");

        string Said(string question) => (string?)answers[question]["answer"] ?? "";
    }

    /// <summary>Each line of its output is one message.</summary>
    private static async Task<JsonNode> Ask(Process process, int id, string method, string arguments)
    {
        await process.StandardInput.WriteLineAsync(
            $"{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{arguments}}}");
        while (true)
        {
            var answer = JsonNode.Parse(await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken)
                ?? throw new InvalidOperationException($"mcp ended before it answered {method}"))!;
            if ((int?)answer["id"] == id)
            {
                return answer;
            }
        }
    }
}
