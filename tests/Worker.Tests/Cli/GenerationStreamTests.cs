using System.Collections.Concurrent;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Training.Stages;
using Google.Protobuf;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Cli;

[Collection(RandomNumbers.OneStream)]
public sealed class GenerationStreamTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("dsops-stream-").FullName;

    [Fact]
    public void The_pieces_are_the_text_of_the_verb_and_the_second_prompt_loads_nothing()
    {
        var prompt = Prompt("12+7", 30);
        prompt.Speculate = true;
        var texts = Texts(Answers(prompt, Prompt("12+7", 30)));
        Assert.Equal(["loading", "generating"], texts.Select(t => t[0].Phase));
        Assert.All(texts, t => Assert.Equal(Said(prompt.Folder), string.Concat(t.Select(n => n.Text))));
        var (guessing, plain) = (texts[0][^1], texts[1][^1]);
        Assert.Equal(("ended", "max-tokens", 30), (guessing.Phase, guessing.Reason, guessing.Tokens));
        Assert.True(guessing.Guessed > 0);
        Assert.Equal((0, 30), (plain.Guessed, plain.Passes));
    }

    [Fact]
    public void What_cannot_be_done_is_refused_in_words_and_the_next_prompt_is_answered()
    {
        var gone = Prompt("a", 5);
        gone.Folder += "0";
        var changed = Prompt("a", 5);
        changed.Digest = "0123";
        var ends = Texts(Answers(gone, changed, Prompt("a", 500), Prompt("a", 5))).ConvertAll(t => t[^1]);
        Assert.Equal(["refused", "refused", "refused", "ended"], ends.Select(e => e.Phase));
        Assert.Contains(gone.Folder, ends[0].Reason, StringComparison.Ordinal);
        Assert.Contains("0123 was registered", ends[1].Reason, StringComparison.Ordinal);
        Assert.Contains("more than the 128 places", ends[2].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_ends_the_text_with_what_is_there_and_the_end_of_orders_ends_the_program()
    {
        var (orders, heard) = (new Orders(), new Heard());
        var program = Task.Run(() => GenerationStream.Run(orders, heard, TimeProvider.System), TestContext.Current.CancellationToken);
        orders.Say(new GenerationOrder { Prompt = Prompt("a", 20_000, context: 30_000) });
        await heard.Until(n => n.Tokens > 0);
        orders.Say(new GenerationOrder { Stop = new Stop() });
        var last = await heard.Until(n => n.Phase == "ended");
        Assert.Equal("stopped", last.Reason);
        Assert.InRange(last.Tokens, 1, 19_999);
        orders.End();
        Assert.Equal(0, await program);
    }

    public void Dispose() => Directory.Delete(_data, recursive: true);

    /// <summary>One order after the other, as the control plane gives them: their end stops what is being made.</summary>
    private static List<GenerationNews> Answers(params Prompt[] prompts)
    {
        var (orders, heard) = (new Orders(), new Heard());
        var program = Task.Run(() => GenerationStream.Run(orders, heard, TimeProvider.System));
        for (var i = 0; i < prompts.Length; i++)
        {
            orders.Say(new GenerationOrder { Prompt = prompts[i] });
            heard.Until(_ => heard.All.Count(IsLast) > i).GetAwaiter().GetResult();
        }

        orders.End();
        Assert.Equal(0, program.GetAwaiter().GetResult());
        return heard.All;
    }

    private static bool IsLast(GenerationNews news) => news.Phase is "ended" or "refused";

    private static List<List<GenerationNews>> Texts(List<GenerationNews> news)
    {
        List<List<GenerationNews>> texts = [[]];
        foreach (var one in news)
        {
            texts[^1].Add(one);
            if (IsLast(one))
            {
                texts.Add([]);
            }
        }

        return texts[..^1];
    }

    private static string Said(string folder)
    {
        var output = new StringWriter();
        Assert.Equal(0, GenerateVerb.Run([folder, "--prompt", "12+7", "--max-tokens", "30"], output, TextWriter.Null));
        return output.ToString()[..^Environment.NewLine.Length];
    }

    /// <summary>A prompt to a checkpoint with random weights.</summary>
    private Prompt Prompt(string text, int maxTokens, int context = 128)
    {
        var folder = Path.Combine(_data, $"context-{context}");
        var weights = Path.Combine(folder, "model.safetensors");
        if (!Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder);
            using var model = new DeepSeekModel(ModelShapes.Presets["mini"] with { InitStd = 0.1, MaxPositionEmbeddings = context }, CPU);
            model.Initialise(3);
            // The end mark is never the likeliest word: an answer takes all the tokens that it may.
            model.PublishedTensors().Single(t => t.Name == WeightShapes.Head).Value[new ByteTokenizer().Special.Eos].zero_();
            SafetensorsWriter.Write(weights, [.. model.PublishedTensors()]);
            File.WriteAllBytes(Path.Combine(folder, ConfigJson.FileName), ConfigJson.ToBytes(model.Shape));
        }

        var manifest = new Manifest(
            Manifest.CurrentFormat, "run", "pretrain", 1, 3, Position.Start, "", false, null,
            [new ManifestFile("model.safetensors", new FileInfo(weights).Length, Manifest.Sha256Of(weights))]).ToBytes();
        File.WriteAllBytes(Path.Combine(folder, Manifest.FileName), manifest);
        return new Prompt { Folder = folder, Digest = Manifest.DigestOf(manifest), Text = text, MaxTokens = maxTokens };
    }

    /// <summary>The program's stdin.</summary>
    private sealed class Orders : TextReader
    {
        private readonly BlockingCollection<string> _lines = [];

        public void Say(GenerationOrder order) => _lines.Add(JsonFormatter.Default.Format(order));

        public void End() => _lines.CompleteAdding();

        public override string? ReadLine() => _lines.TryTake(out var line, Timeout.Infinite) ? line : null;
    }

    /// <summary>The program's stdout.</summary>
    private sealed class Heard : StringWriter
    {
        private readonly Channel<GenerationNews> _news = Channel.CreateUnbounded<GenerationNews>();

        /// <summary>What was waited for and all before it.</summary>
        public List<GenerationNews> All { get; } = [];

        public override void WriteLine(string? value) => _news.Writer.TryWrite(GenerationNews.Parser.ParseJson(value));

        public async Task<GenerationNews> Until(Func<GenerationNews, bool> condition)
        {
            while (true)
            {
                var news = await _news.Reader.ReadAsync(TestContext.Current.CancellationToken);
                All.Add(news);
                if (condition(news))
                {
                    return news;
                }
            }
        }
    }
}
