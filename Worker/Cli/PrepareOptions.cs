using System.Globalization;
using DeepSeekOps.Worker.Data.Preparing;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`data prepare SOURCES… --out DIR …` as it was written.</summary>
internal static class PrepareOptions
{
    /// <summary>Null: what was asked for makes no sense, as the problem says.</summary>
    public static PrepareOrder? Parse(string[] args, out string problem)
    {
        var order = new PrepareOrder(
            [], "", "byte", new Dictionary<string, double>(StringComparer.Ordinal), Environment.ProcessorCount, (1, 1));
        var sources = new List<string>();
        for (var i = 0; i < args.Length; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal))
            {
                sources.Add(args[i]);
                continue;
            }
            if (i + 1 == args.Length || Valued(order, args[i], args[i + 1]) is not { } valued)
            {
                problem = i + 1 == args.Length ? $"{args[i]} is not known, or has no value." : $"{args[i]} {args[i + 1]} is not valid.";
                return null;
            }
            (order, i) = (valued, i + 1);
        }
        problem = sources.Count == 0 ? "SOURCES are missing: files or folders with .jsonl, .txt or .parquet."
            : order.Folder.Length == 0 ? "--out DIR is missing: the folder to make."
            : sources.GroupBy(s => s, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice
                ? $"The source {twice.Key} is named twice: give it a weight instead (--weight {twice.Key}=2)." : "";
        return problem.Length == 0 ? order with { Sources = sources } : null;
    }

    private static PrepareOrder? Valued(PrepareOrder order, string name, string value) => name switch
    {
        "--out" when value.Length > 0 => order with { Folder = value },
        "--tokenizer" when value.Length > 0 => order with { Tokenizer = value },
        "--workers" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n is > 0 and <= 1024 =>
            order with { Workers = n },
        "--share" => Share(value) is { } share ? order with { Share = share } : null,
        "--weight" => Weight(value) is { } weight
            ? order with
            {
                Weights = new Dictionary<string, double>(order.Weights, StringComparer.Ordinal) { [weight.Source] = weight.Value },
            } : null,
        _ => null,
    };

    private static (int Number, int Of)? Share(string value) => value.Split('/') is [var number, var of]
        && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var n)
        && int.TryParse(of, NumberStyles.None, CultureInfo.InvariantCulture, out var m) && n >= 1 && n <= m && m <= 10_000 ? (n, m) : null;

    private static (string Source, double Value)? Weight(string value) => value.LastIndexOf('=') is > 0 and var at
        && double.TryParse(value[(at + 1)..], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var weight)
        && weight is > 0 and <= 1000 ? (value[..at], weight) : null;
}
