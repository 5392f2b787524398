using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Recipes.Data;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Data.Preparing;
using DeepSeekOps.Worker.Tests.Data;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Prepared sets at full size: a launch on a set of a billion documents whose index is whole (its tokens are holes of sparse files), the
/// order beside the reader that keeps a list, and how fast text becomes token ids.
/// </summary>
internal static class DataBenchmark
{
    private const int ShardCount = 64;
    private const int TokensEach = 1500;
    private const int ReferenceDocuments = 1_000_000;

    private static readonly int[] Worlds = [1, 2, 3, 4, 8];

    public static async Task Run(string[] args)
    {
        if (Value(args, "--rank") is { } set)
        {
            Rank(set);
            return;
        }
        long documents = long.Parse(Value(args, "--documents") ?? "1000000000", CultureInfo.InvariantCulture);
        var scratch = Directory.CreateTempSubdirectory("dsops-data-bench-");
        try
        {
            await Launch(Path.Combine(scratch.FullName, "huge"), documents);
            Order(scratch.FullName);
            Rates(scratch.FullName);
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    private static string? Value(string[] args, string name) =>
        Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null;

    private static async Task Launch(string folder, long documents)
    {
        MakeHuge(folder, documents);
        using var rank = Process.Start(
            new ProcessStartInfo(Environment.ProcessPath!, ["data", "--rank", folder]) { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("The rank did not start.");
        var told = JsonDocument.Parse(await rank.StandardOutput.ReadToEndAsync()).RootElement;
        await rank.WaitForExitAsync();
        double Of(string name) => told.GetProperty(name).GetDouble();
        Table.Title(Table.Say($"data: a set of {documents:#,0} documents, {documents * TokensEach / 1e12:0.0} T tokens"));
        Table.AtMost("from the set's name to the first batch of 64 x 4096", Of("launchSeconds") * 1000, 2000);
        Table.AtMost("the same in the middle of the third epoch", Of("resumeSeconds") * 1000, 2000);
        Table.Hold("memory (RSS) at the first batch", Table.Say($"{Of("launchKb") / 1e3:0} MB"), Of("launchKb") <= 200e3, "200 MB");
        Table.Hold("the same after 1,000 batches, one row of 64 read", Table.Say($"{Of("laterKb") / 1e3:0} MB"), Of("laterKb") <= 200e3,
            "200 MB");
        Table.Line("a batch of which one row of 64 is read", Table.Say($"{Of("batchSeconds") * 1000:0.0} ms"), "4096 tokens a row");
        Directory.Delete(folder, recursive: true);
    }

    private static void Rank(string folder)
    {
        var tokenizer = new ByteTokenizer();
        var began = Stopwatch.GetTimestamp();
        using var data = PreparedData.Open(folder, "byte", seed: 1);
        var packed = new PackedDocuments(data, tokenizer, seed: 1, fimRate: 0.1);
        packed.Next(64, 4096);
        var launch = Stopwatch.GetElapsedTime(began).TotalSeconds;
        double launchKb = Status("VmRSS:");
        began = Stopwatch.GetTimestamp();
        for (int i = 0; i < 1000; i++)
        {
            packed.Next(64, 4096, (0, 1));
        }
        var batch = Stopwatch.GetElapsedTime(began).TotalSeconds / 1000;
        began = Stopwatch.GetTimestamp();
        using (var again = PreparedData.Open(folder, "byte", seed: 1))
        {
            packed = new PackedDocuments(again, tokenizer, seed: 1, fimRate: 0.1);
            packed.Cursor = new DataCursor(data.DocumentCount!.Value * 5 / 2, 7);
            packed.Next(64, 4096);
        }
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            launchSeconds = launch, launchKb, batchSeconds = batch,
            resumeSeconds = Stopwatch.GetElapsedTime(began).TotalSeconds,
            laterKb = Status("VmRSS:"),
        }));
    }

    private static double Status(string line) => double.Parse(
        File.ReadLines("/proc/self/status").First(l => l.StartsWith(line, StringComparison.Ordinal))
            .Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[^2],
        CultureInfo.InvariantCulture);

    /// <summary>Tokens are holes, which read as zeros; the index has where each of the documents lies.</summary>
    private static void MakeHuge(string folder, long documents)
    {
        Directory.CreateDirectory(folder);
        var table = new byte[ShardCount * ShardEntry.Bytes];
        byte[] buffer = new byte[8 << 20];
        long first = 0;
        for (int number = 0; number < ShardCount; number++)
        {
            long here = ((number + 1) * documents / ShardCount) - first;
            var header = new ShardHeader(2, number, here, here * TokensEach, here, new byte[32], new byte[32]);
            using var file = File.OpenHandle(
                Path.Combine(folder, PreparedSet.ShardName(number)), FileMode.Create, FileAccess.Write, FileShare.None, FileOptions.None);
            RandomAccess.Write(file, header.ToBytes(), 0);
            for (long at = 0; at <= here; at += buffer.Length / 8)
            {
                int count = (int)Math.Min(buffer.Length / 8, here + 1 - at);
                for (int i = 0; i < count; i++)
                {
                    BitConverter.TryWriteBytes(buffer.AsSpan(8 * i), (at + i) * TokensEach);
                }
                RandomAccess.Write(file, buffer.AsSpan(0, 8 * count), header.IndexAt + (8 * at));
            }
            new ShardEntry(first, here, header.Tokens, here, header.Sha256).Write(table.AsSpan(number * ShardEntry.Bytes));
            first += here;
        }
        File.WriteAllBytes(Path.Combine(folder, ShardTable.FileName), table);
        var manifest = new PreparedManifest(
            PreparedManifest.KindOfAll, PreparedManifest.CurrentFormat, "byte", "", 264, 2, ShardCount, documents, documents * TokensEach,
            documents, PreparedManifest.DigestOf(table),
            [new PreparedSource("huge", 1, 0, documents, documents * TokensEach, documents, 1)]);
        File.WriteAllBytes(Path.Combine(folder, PreparedManifest.FileName), manifest.ToBytes());
    }

    /// <summary>The reader of raw files keeps a list of all documents and reads every one: what a set has to equal.</summary>
    private static void Order(string root)
    {
        var source = Path.Combine(root, "million.jsonl");
        File.WriteAllLines(source, Enumerable.Range(0, ReferenceDocuments).Select(i => Table.Say($"{{\"text\":\"{i}\"}}")));
        var folder = Prepare(source, Path.Combine(root, "million"), "byte").Folder;
        var raw = FileData.Open([source], seed: 5, heldOut: 0);
        using var set = PreparedData.Open(folder, "byte", seed: 5);
        const int Rows = 240;
        const int Length = 4096;
        PackedDocuments Stream(ITrainingData data, DataCursor at) =>
            new(data, new ByteTokenizer(), seed: 5, fimRate: 0.1) { Cursor = at };
        var (reference, end, differing, batches, world) = (Stream(raw, DataCursor.Start), DataCursor.Start, 0, 0, 0);
        while (end.Document < ReferenceDocuments)
        {
            // Each batch by another world than the one before, so that each goes on from every other's place.
            int ranks = Worlds[world++ % Worlds.Length];
            var expected = reference.Next(Rows, Length);
            var read = Enumerable.Range(0, ranks).Select(r =>
            {
                var own = Stream(set, end);
                return (Rows: own.Next(Rows, Length, (r * Rows / ranks, Rows / ranks)), own.Cursor);
            }).ToList();
            end = reference.Cursor;
            differing += expected.SequenceEqual(read.SelectMany(r => r.Rows)) && read.TrueForAll(r => r.Cursor == end) ? 0 : 1;
            batches++;
        }
        var counts = new byte[ReferenceDocuments];
        var order = new SampleOrder([new PreparedSource("", 1, 0, ReferenceDocuments, 1, 1, 1)], seed: 5);
        for (long i = 0; i < ReferenceDocuments; i++)
        {
            counts[order.DocumentOf(i)]++;
        }
        Table.Title(Table.Say(
            $"data: {ReferenceDocuments:#,0} documents beside the reader that keeps a list, worlds of 1, 2, 3, 4, 8 in turn"));
        Table.None(Table.Say($"of {batches} batches with other tokens or another place"), differing);
        Table.None("documents of an epoch not read exactly once", counts.Count(c => c != 1));
    }

    private static void Rates(string root)
    {
        var texts = Directory.EnumerateFiles(Checkout.Root, "*.*", SearchOption.AllDirectories)
            .Where(f => (f.EndsWith(".cs", StringComparison.Ordinal) || f.EndsWith(".md", StringComparison.Ordinal))
                && !f.Contains("/artifacts/", StringComparison.Ordinal) && !f.Contains("/node_modules/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).Select(File.ReadAllText).Where(t => t.Length > 0).ToList();
        var source = Path.Combine(root, "code.jsonl");
        File.WriteAllLines(source, texts.Select(t => JsonSerializer.Serialize(new { text = t })));
        var large = Path.Combine(root, "large.jsonl");
        using (var joined = File.Create(large))
        {
            var once = File.ReadAllBytes(source);
            for (int i = 0; i < 1 + (100_000_000 / once.Length); i++)
            {
                joined.Write(once);
            }
        }
        double Rate(string from, string tokenizer)
        {
            var folder = Path.Combine(root, "rate");
            var (_, bytes, seconds) = Prepare(from, folder, tokenizer);
            Directory.Delete(folder, recursive: true);
            return bytes / 1e6 / seconds;
        }
        Rate(source, "byte");
        Table.Title("data: text to token ids, MB of a second of one core");
        Table.AtLeast("byte tokenizer", Rate(large, "byte"), "MB", 20, "the limit of 20");
        var bpe = Path.Combine(root, PreparedSet.TokenizerName);
        File.WriteAllText(bpe, TokenizerFixtures.Golden().Tokenizer.ToJsonString());
        List<double> ratios = [];
        for (int round = 0; round < 3; round++)
        {
            var began = Cpu();
            // The plain way, from the file of the tokenizer on: a line, its text, the library.
            var library = TokenizerFiles.Open(bpe);
            foreach (string line in File.ReadLines(source))
            {
                using var read = JsonDocument.Parse(line);
                library.Encode(read.RootElement.GetProperty("text").GetString()!);
            }
            var peer = new FileInfo(source).Length / 1e6 / (Cpu() - began).TotalSeconds;
            var own = Rate(source, bpe);
            ratios.Add(own / peer);
            Table.Line(Table.Say($"BPE of DeepSeek-V3, round {round + 1}"), Table.Say($"{own:0.00} MB/s"),
                Table.Say($"Hugging Face's library in a plain loop {peer:0.00}"));
        }
        ratios.Sort();
        Table.Hold("BPE, median of the rounds", Table.Say($"{ratios[1]:0.00} x"), ratios[1] >= 1,
            "1 x Hugging Face's library in a plain loop");
    }

    private static TimeSpan Cpu() => Process.GetCurrentProcess().TotalProcessorTime;

    /// <summary>By one thread; seconds of the processor, so that others on the machine count little.</summary>
    private static (string Folder, double Bytes, double Seconds) Prepare(string source, string folder, string tokenizer)
    {
        var began = Cpu();
        var outcome = new Preparation(
            new PrepareOrder([source], folder, tokenizer, new Dictionary<string, double>(), Workers: 1, Share: (1, 1)), TimeProvider.System,
            _ => { }).Run();
        return (folder, outcome.MadeBytes, (Cpu() - began).TotalSeconds);
    }
}
