using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Data.Preparing;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>Small sources of every kind, and sets that are prepared from them.</summary>
internal sealed class PreparedSets : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-prepared-");

    public string Root => _folder.FullName;

    public void Dispose() => _folder.Delete(recursive: true);

    public string At(string name) => Path.Combine(Root, name);

    /// <summary>Lines of every shape, empty ones between them, a mark in front, both line ends.</summary>
    public string Lines(string name, int count, int seed = 1)
    {
        var random = new SeededRandom(seed, "lines", 0);
        var text = new StringBuilder("\uFEFF");
        for (var i = 0; i < count; i++)
        {
            var said = $"{i} {ShortTexts.Paragraph(ref random, random.Next(1, 3))} é😀";
            text.Append((i % 4) switch
            {
                0 => JsonSerializer.Serialize(new { text = said }),
                1 => JsonSerializer.Serialize(new { question = said, answer = "42" }),
                2 => JsonSerializer.Serialize(new { messages = new[] { new { role = "user", content = said } } }),
                _ => JsonSerializer.Serialize(new { text = "" }),
            });
            text.Append(i % 5 == 0 ? "\r\n\n" : "\n");
        }
        return Write(name, text.ToString());
    }

    public string Texts(string name, int paragraphs)
    {
        var random = new SeededRandom(2, "texts", 0);
        var text = new StringBuilder();
        for (var i = 0; i < paragraphs; i++)
        {
            text.Append(i % 7 == 0 ? "\uFEFF" : "").Append(ShortTexts.Paragraph(ref random, random.Next(1, 30)));
            text.Append(i % 3 == 0 ? "\n\n" : "\r\n");
        }
        return Write(name, text.ToString());
    }

    public string Write(string name, string text)
    {
        File.WriteAllBytes(At(name), Encoding.UTF8.GetBytes(text));
        return At(name);
    }

    public PrepareOrder Order(string folder, params string[] sources) => new(
        sources, At(folder), "byte", new Dictionary<string, double>(), Workers: 2, Share: (1, 1));

    /// <returns>The set's folder.</returns>
    public string Prepare(string folder, params string[] sources)
    {
        Run(Order(folder, sources));
        return At(folder);
    }

    public static PrepareOutcome Run(PrepareOrder order) => new Preparation(order, TimeProvider.System, _ => { }).Run();

    /// <summary>What a set is, whenever and by whomever it was made: all but the locks.</summary>
    public static string[] FilesOf(string folder) =>
        [.. Directory.GetFiles(folder).Where(f => !Path.GetFileName(f).StartsWith('.')).Order(StringComparer.Ordinal)
            .Select(f => $"{Path.GetFileName(f)} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f)))}")];
}
