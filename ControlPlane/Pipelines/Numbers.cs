using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A whole number with the suffixes people use: K, M, B, T by thousands, Ki, Mi, Gi, Ti by 1024.</summary>
internal sealed partial class CountNotation(long min, long max) : ScalarNotation<long>
{
    private static readonly (string Suffix, long Unit)[] Units =
    [
        ("T", 1_000_000_000_000), ("B", 1_000_000_000), ("M", 1_000_000), ("K", 1_000),
        ("Ti", 1L << 40), ("Gi", 1L << 30), ("Mi", 1L << 20), ("Ki", 1L << 10),
    ];

    public override string InWords => max <= 10_000 ? $"a whole number from {min} to {max}" : "a count such as 4096, 4Ki, 469B or 14.8T";

    protected override bool TryParse(string text, out long value, out string message, out string fix)
    {
        (value, message, fix) = (0, "", "");
        if (!TryCount(text, out decimal exact))
        {
            (message, fix) = ($"'{text}' is not a whole number.", $"Write {InWords}.");
            return false;
        }
        if (exact != decimal.Truncate(exact))
        {
            (message, fix) = ($"'{text}' is {exact}, which is not whole.", $"Write {InWords}.");
            return false;
        }
        if (exact < min || exact > max)
        {
            (message, fix) = ($"{text} is out of range.", exact < min ? $"Write at least {Short(min)}." : $"Write at most {Short(max)}.");
            return false;
        }
        value = (long)exact;
        return true;
    }

    /// <summary>As a part of another notation.</summary>
    public bool TryReadText(string text, out long value, out string message, out string fix) =>
        TryParse(text, out value, out message, out fix);

    public override string Format(long value) => Short(value);

    public override JsonObject Schema() => new()
    {
        ["anyOf"] = new JsonArray(
            new JsonObject { ["type"] = "integer", ["minimum"] = min, ["maximum"] = max },
            new JsonObject { ["type"] = "string", ["pattern"] = "^[0-9][0-9_]*(\\.[0-9]+)?([KMBT]|[KMGT]i)$" }),
    };

    /// <summary>The shortest way to write it exactly: 600Ki rather than 614400, 14.8T; small numbers as they are.</summary>
    internal static string Short(long value)
    {
        string plain = value.ToString(CultureInfo.InvariantCulture);
        if (Math.Abs(value) < 10_000)
        {
            return plain;
        }
        string best = plain;
        foreach (var (suffix, unit) in Units)
        {
            decimal parts = (decimal)value / unit;
            if (Math.Abs(parts) >= 1 && decimal.Round(parts, 3) == parts && parts * unit == value)
            {
                string text = parts.ToString("0.###", CultureInfo.InvariantCulture) + suffix;
                best = text.Length < best.Length ? text : best;
            }
        }
        return best;
    }

    private static bool TryCount(string text, out decimal exact)
    {
        exact = 0;
        var match = Form().Match(text);
        if (!match.Success)
        {
            return false;
        }
        string suffix = match.Groups["suffix"].Value;
        long unit = suffix.Length == 0 ? 1 : Array.Find(Units, u => u.Suffix == suffix).Unit;
        const NumberStyles Styles = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        string digits = match.Groups["digits"].Value.Replace("_", "", StringComparison.Ordinal);
        bool read = decimal.TryParse(digits, Styles, CultureInfo.InvariantCulture, out exact);
        // What would overflow is far out of any range, and is told so.
        decimal limit = decimal.MaxValue / unit;
        exact = Math.Clamp(exact, -limit, limit) * unit;
        return read;
    }

    [GeneratedRegex(@"^(?<digits>[+-]?[0-9][0-9_]{0,24}(\.[0-9]{1,12})?([eE][+]?[0-9]{1,2})?)(?<suffix>[KMBT]|[KMGT]i)?\z")]
    private static partial Regex Form();
}

/// <summary>A number such as 0.1 or 2.2e-4.</summary>
internal sealed class RealNotation(double min, double max, bool aboveMin = false) : ScalarNotation<double>
{
    public override string InWords => $"a number {(aboveMin ? "above" : "from")} {Short(min)} "
        + $"{(max < 1e9 ? $"to {Short(max)}" : "up")}, such as {Example}";

    private string Example => max <= 1 ? "2.2e-4" : Short(Math.Max(min, 1));

    protected override bool TryParse(string text, out double value, out string message, out string fix)
    {
        (message, fix) = ("", "");
        const NumberStyles Styles = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (!double.TryParse(text, Styles, CultureInfo.InvariantCulture, out value) || !double.IsFinite(value))
        {
            (message, fix) = ($"'{text}' is not a number.", $"Write {InWords}.");
            return false;
        }
        if (value < min || value > max || (aboveMin && value == min))
        {
            (message, fix) = ($"{text} is out of range.", $"Write {InWords}.");
            return false;
        }
        return true;
    }

    public override string Format(double value) => Short(value);

    public override JsonObject Schema()
    {
        var schema = new JsonObject { ["type"] = "number", [aboveMin ? "exclusiveMinimum" : "minimum"] = min };
        if (max < 1e300)
        {
            schema["maximum"] = max;
        }
        return schema;
    }

    internal static string Short(double value) => value.ToString("R", CultureInfo.InvariantCulture).Replace('E', 'e');
}

/// <summary>A length of time as people write it: 90s, 5m, 1h30m, 250ms, 2d.</summary>
internal sealed partial class DurationNotation(TimeSpan min, TimeSpan max) : ScalarNotation<TimeSpan>
{
    public override string InWords => "a duration such as 90s, 5m or 1h30m";

    protected override bool TryParse(string text, out TimeSpan value, out string message, out string fix)
    {
        (value, message, fix) = (default, "", "");
        var match = Form().Match(text);
        if (!match.Success || match.Length == 0)
        {
            (message, fix) = ($"'{text}' is not a duration.",
                text.All(char.IsAsciiDigit) ? $"Say the unit: {text}s, {text}m or {text}h." : $"Write {InWords}.");
            return false;
        }
        decimal Part(string name) =>
            match.Groups[name] is { Success: true, Value: var v } ? decimal.Parse(v, CultureInfo.InvariantCulture) : 0;
        decimal seconds = (Part("d") * 86400) + (Part("h") * 3600) + (Part("m") * 60) + Part("s") + (Part("ms") / 1000);
        if (seconds < (decimal)min.TotalSeconds || seconds > (decimal)max.TotalSeconds)
        {
            (message, fix) = ($"{text} is out of range.", $"Write {Short(min)} to {Short(max)}.");
            return false;
        }
        value = TimeSpan.FromTicks((long)(seconds * TimeSpan.TicksPerSecond));
        return true;
    }

    public override string Format(TimeSpan value) => Short(value);

    public override JsonObject Schema() => new() { ["type"] = "string", ["pattern"] = $"^{Spans}$" };

    internal static string Short(TimeSpan value)
    {
        string seconds =
            ((decimal)(value.Ticks % TimeSpan.TicksPerMinute) / TimeSpan.TicksPerSecond).ToString("0.#######",
                CultureInfo.InvariantCulture);
        string text = (value.Days > 0 ? $"{value.Days}d" : "") + (value.Hours > 0 ? $"{value.Hours}h" : "")
            + (value.Minutes > 0 ? $"{value.Minutes}m" : "") + (seconds == "0" ? "" : $"{seconds}s");
        return text.Length == 0 ? "0s" : text;
    }

    /// <summary>Without anchors: the end is spelt another way in the patterns that editors read.</summary>
    private const string Spans =
        @"(?=.)((?<d>[0-9]{1,5}(\.[0-9]{1,6})?)d)?((?<h>[0-9]{1,6}(\.[0-9]{1,6})?)h)?((?<m>[0-9]{1,8}(\.[0-9]{1,6})?)m(?!s))?"
        + @"((?<s>[0-9]{1,9}(\.[0-9]{1,7})?)s)?((?<ms>[0-9]{1,9})ms)?";

    [GeneratedRegex($@"^{Spans}\z")]
    private static partial Regex Form();
}
