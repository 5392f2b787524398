using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A place in a stage: its tokens, or its share of them, which becomes tokens once the whole stage is read.</summary>
internal readonly record struct TokenPoint(long Tokens, decimal? Percent);

/// <summary>A count of tokens, or a percentage such as 96.62%.</summary>
internal sealed partial class TokenPointNotation(long min) : ScalarNotation<TokenPoint>
{
    private readonly CountNotation count = new(min, 1_000_000_000_000_000);

    public override string InWords => $"{count.InWords}, or a share of the stage's tokens such as 96.62%";

    protected override bool TryParse(string text, out TokenPoint value, out string message, out string fix)
    {
        value = default;
        (message, fix) = ("", "");
        if (!text.EndsWith('%'))
        {
            bool read = count.TryReadText(text, out long tokens, out message, out fix);
            value = new TokenPoint(tokens, null);
            return read;
        }
        var match = Form().Match(text);
        if (!match.Success)
        {
            (message, fix) = ($"'{text}' is not a percentage.", "Write a number from 0 to 100 before the sign, such as 96.62%.");
            return false;
        }
        // Divided by one with all its digits, 67.50 is 67.5.
        decimal percent = decimal.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) / 1.0000000000000000000000000000m;
        if (percent is < 0 or > 100 || (min > 0 && percent == 0))
        {
            (message, fix) = ($"{text} of the stage's tokens is out of range.",
                percent > 100 ? "Write at most 100%." : $"Write {(min > 0 ? "more than" : "at least")} 0%.");
            return false;
        }
        value = new TokenPoint(0, percent);
        return true;
    }

    public override string Format(TokenPoint value) =>
        value.Percent is { } percent ? percent.ToString("0.##################", CultureInfo.InvariantCulture) + "%"
            : count.Format(value.Tokens);

    public override TextNode Write(TokenPoint value, Inheritance inherited) =>
        base.Write(inherited.Resolved ? value with { Percent = null } : value, inherited);

    public override JsonObject Schema()
    {
        var schema = count.Schema();
        schema["anyOf"]!.AsArray()
            .Add((JsonNode)new JsonObject { ["type"] = "string", ["pattern"] = @"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,18})?) ?%$" });
        return schema;
    }

    [GeneratedRegex(@"^([+-]?[0-9]{1,6}(\.[0-9]{1,18})?) ?%\z")]
    private static partial Regex Form();
}
