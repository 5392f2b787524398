using System.Globalization;

namespace DeepSeekOps.Worker.Cli;

internal sealed record GenerateOptions(string Checkpoint, string Prompt)
{
    public int MaxTokens { get; init; } = 64;
    public double Temperature { get; init; }
    public long Seed { get; init; }
    public bool Chat { get; init; }
    public bool Speculate { get; init; } = true;
    public bool Average { get; init; }
    public bool Json { get; init; }
    public string? Tokenizer { get; init; }
    public string Device { get; init; } = "auto";
    public string DataDirectory { get; init; } = ".dsops";

    /// <summary>Null: what was asked for makes no sense, as the problem says.</summary>
    public static GenerateOptions? Parse(string[] args, out string problem)
    {
        var options = new GenerateOptions("", "");
        for (var i = 0; i < args.Length; i++)
        {
            if (Flag(options, args[i]) is { } flagged)
            {
                options = flagged;
                continue;
            }

            if (!args[i].StartsWith("--", StringComparison.Ordinal) && options.Checkpoint.Length == 0)
            {
                options = options with { Checkpoint = args[i] };
                continue;
            }

            if (i + 1 == args.Length || Valued(options, args[i], args[i + 1]) is not { } valued)
            {
                problem = i + 1 == args.Length ? $"{args[i]} is not known, or has no value." : $"{args[i]} {args[i + 1]} is not valid.";
                return null;
            }

            (options, i) = (valued, i + 1);
        }

        problem = options.Checkpoint.Length == 0 ? "CHECKPOINT is missing."
            : options.Prompt.Length == 0 ? "The prompt is empty: say something with --prompt." : "";
        return problem.Length == 0 ? options : null;
    }

    private static GenerateOptions? Flag(GenerateOptions options, string name) => name switch
    {
        "--json" => options with { Json = true },
        "--chat" => options with { Chat = true },
        "--ema" => options with { Average = true },
        "--no-speculation" => options with { Speculate = false },
        _ => null,
    };

    private static GenerateOptions? Valued(GenerateOptions options, string name, string value) => name switch
    {
        "--prompt" => options with { Prompt = value },
        "--max-tokens" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 =>
            options with { MaxTokens = n },
        "--temperature" when double.TryParse(value, CultureInfo.InvariantCulture, out var t) && t is >= 0 and < 1e6 =>
            options with { Temperature = t },
        "--seed" when long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n) =>
            options with { Seed = n },
        "--tokenizer" => options with { Tokenizer = value },
        "--device" => options with { Device = value },
        "--data-dir" => options with { DataDirectory = value },
        _ => null,
    };
}
