using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Files that are none, and files as people have them, named to a control plane that runs.</summary>
public sealed class FilesAtTheDoorTests(Shared shared)
{
    private const int Many = 40;

    private static CancellationToken Ended => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Forty_named_pipes_as_data_leave_every_other_call_answering_at_once()
    {
        var dsops = await shared.Idle;
        using var http = new HttpClient { BaseAddress = new Uri(dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", dsops.Token);
        string pipe = Path.Combine(dsops.DataDirectory, "pipe.txt");
        using (var made = Process.Start("mkfifo", pipe))
        {
            await made.WaitForExitAsync(Ended);
        }
        File.CreateSymbolicLink(Path.Combine(dsops.DataDirectory, "config.json"), "/dev/zero");
        string text = TinyPipeline.Pretraining("pipes", 10);
        string[] texts =
        [
            text.Replace("source: \"builtin:arithmetic\"", $"source: {pipe}", StringComparison.Ordinal),
            text.Replace("tokenizer: byte", "tokenizer: config.json", StringComparison.Ordinal),
        ];
        var checks = Enumerable.Range(0, Many)
            .Select(i => http.PostAsJsonAsync("/v1/pipelines:check", new { text = texts[i % 2], folder = dsops.DataDirectory }, Ended))
            .ToList();
        var runs = await http.GetAsync("/v1/runs", Ended);
        Assert.True(runs.IsSuccessStatusCode);
        foreach (var check in await Task.WhenAll(checks))
        {
            string said = await check.Content.ReadAsStringAsync(Ended);
            Assert.Matches("is a (named pipe|device), not a file", said);
        }
    }

    [Fact]
    public async Task Emoji_through_DeepSeeks_kind_of_patterns_train_and_a_file_that_no_launch_mends_is_one_launch()
    {
        await using var dsops = await Dsops.Start();
        string In(string name) => Path.Combine(dsops.DataDirectory, name);
        await File.WriteAllTextAsync(In("tokenizer.json"), SmallTokenizer(), Ended);
        await File.WriteAllTextAsync(In("GOOD.JSONL"),
            string.Concat(Enumerable.Repeat("\uFEFF{\"text\": \"Fine, thanks 👋 a😀b\"}\n"[1..], 40)), Ended);
        string good = TinyPipeline.Pretraining("emoji", 10)
            .Replace("preset: mini", "preset: mini\n  vocabSize: 512", StringComparison.Ordinal)
            .Replace("source: \"builtin:arithmetic\", tokenizer: byte", "source: GOOD.JSONL, tokenizer: tokenizer.json",
                StringComparison.Ordinal);
        Assert.Equal(0, (await dsops.Verb("submit", TinyPipeline.File(dsops.DataDirectory, good))).Code);
        await dsops.UntilRun("emoji", "completed", Eventually.Patience);

        // What is wrong lies beyond what submission reads: the rank finds it, and says it once.
        string late = string.Concat(Enumerable.Repeat("{\"text\": \"" + new string('x', 1000) + "\"}\n", 5000))
            + "{\"text\": \"cut here \\ud83d\"}\n";
        await File.WriteAllTextAsync(In("late.jsonl"), late, Ended);
        string wrong = TinyPipeline.Pretraining("late", 10)
            .Replace("source: \"builtin:arithmetic\"", "source: late.jsonl", StringComparison.Ordinal);
        Assert.Equal(0, (await dsops.Verb("submit", TinyPipeline.File(dsops.DataDirectory, wrong))).Code);
        var failed = await dsops.UntilRun("late", "failed", Eventually.Patience);
        Assert.Contains("line 5001: a text has half of a character", failed.ToJsonString(), StringComparison.Ordinal);
        var stage = failed["stages"]![0]!;
        Assert.Equal(1, (int)stage["attempt"]!);
    }

    private static string SmallTokenizer()
    {
        int spare = 256;
        var words = Enumerable.Range(0, 256)
            .Select(b => (Word: ((char)(b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174 ? b : spare++)).ToString(), b));
        string vocabulary = System.Text.Json.JsonSerializer.Serialize(words.ToDictionary(w => w.Word, w => w.b));
        return $$$"""
            {"version": "1.0", "added_tokens": [], "normalizer": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
               {"type": "Split", "pattern": {"Regex": "\\p{L}+| ?[\\p{P}\\p{S}]+|\\s+"}, "behavior": "Isolated", "invert": false},
               {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
             "post_processor": null, "model": {"type": "BPE", "vocab": {{{vocabulary}}}, "merges": []}}
            """;
    }
}
