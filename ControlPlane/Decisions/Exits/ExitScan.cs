using System.Buffers;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>Why a program ended, with the line that says so.</summary>
/// <param name="Class">Of <see cref="ExitClasses"/>.</param>
/// <param name="Line">The line, shortened around what it says; empty: no line does.</param>
/// <param name="LineNumber">From 1; 0: none.</param>
/// <param name="Rank">Of which rank the line says it is; empty: it does not.</param>
/// <param name="Sure">
/// A line or a code names the cause. Only such a verdict may keep a stage from another launch: a doubt costs a launch, an error a night.
/// </param>
public sealed record ExitVerdict(string Class, string Line, long LineNumber, string Rank, bool Sure)
{
    public ExitClass Meaning => ExitClasses.Of(Class);
}

/// <summary>
/// Reads output line by line, with memory that does not grow with it, and says what ended the program. Of what was said the weightiest
/// wins, and of that the first by time, or by place where lines tell none: what follows are its consequences. What a program trained on
/// after did not end it.
/// </summary>
public sealed class ExitScan
{
    /// <summary>Ranks that train together are at most a step apart; three further steps mean that it was got over.</summary>
    private const int StepsAfter = 3;

    /// <summary>Of each class and rank the first is kept; a gang of 2,048 ranks that all say one thing needs no more.</summary>
    private const int HitsMax = 4096;

    /// <summary>A line of evidence is read on a terminal.</summary>
    private const int LineMax = 300;

    private static readonly Lazy<SearchValues<string>> Anchors = new(() => SearchValues.Create(
        [.. ExitRules.All.SelectMany(r => r.Anchors).Distinct(StringComparer.OrdinalIgnoreCase)], StringComparison.OrdinalIgnoreCase));

    private readonly Dictionary<(string Class, Weight Weight, string Source), Hit> _hits = [];

    public void Add(long number, string raw)
    {
        string text = OutputLine.Clean(raw);
        bool says = text.AsSpan().IndexOfAny(Anchors.Value) >= 0;
        // Most lines say nothing; of those only steps after something was said are of use.
        if (!says && _hits.Count == 0)
        {
            return;
        }

        var line = OutputLine.Of(number, text);
        if (says && Rule(line) is var (rule, at, length))
        {
            if (rule.Class.Length > 0)
            {
                Keep(line, rule, at, length);
            }
        }
        else if (line.Step is { } step)
        {
            Progressed(step);
        }
    }

    /// <summary>By an exit code too, where there is one: 128 and a signal, or the negative of the signal.</summary>
    public ExitVerdict Verdict(int? code)
    {
        if (code == 0)
        {
            return new ExitVerdict(ExitClasses.Finished, "", 0, "", false);
        }

        var told = code is { } ended ? ExitCodes.Says(ended) : null;
        return First() is { } hit && hit.Weight >= (told?.Weight ?? Weight.Mild)
            ? new ExitVerdict(hit.Class, hit.Line, hit.Number, hit.Source, hit.Weight >= Weight.Exception)
            : told is var (@class, weight) ? new ExitVerdict(@class, "", 0, "", weight >= Weight.Exception)
            : new ExitVerdict(ExitClasses.Unknown, "", 0, "", false);
    }

    public static ExitVerdict Judge(IEnumerable<string> lines, int? code)
    {
        var scan = new ExitScan();
        long number = 0;
        foreach (string line in lines)
        {
            scan.Add(++number, line);
        }

        return scan.Verdict(code);
    }

    /// <summary>Of a program that had more to do: code 0 is then no good end, and what it printed may say why it left.</summary>
    public static ExitVerdict JudgeUndone(IEnumerable<string> lines, int? code) =>
        code != 0 ? Judge(lines, code)
        : Judge(lines, null) is { Class: not ExitClasses.Unknown } told ? told
        : new ExitVerdict(ExitClasses.EndedEarly, "", 0, "", false);

    private static (ExitRule Rule, int At, int Length)? Rule(OutputLine line)
    {
        foreach (var rule in ExitRules.All)
        {
            if (rule.Find(line.Body) is var (at, length))
            {
                return (rule, at, length);
            }
        }

        return null;
    }

    private void Keep(OutputLine line, ExitRule rule, int at, int length)
    {
        var weight = line.Mild && rule.Weight > Weight.Peer ? Weight.Mild : rule.Weight;
        var key = (rule.Class, weight, line.Source);
        if (!_hits.ContainsKey(key) && _hits.Count < HitsMax)
        {
            _hits[key] = new Hit(rule.Class, weight, line.Source, line.At, line.Number, Around(line.Body, at, length));
        }
    }

    private void Progressed(long step)
    {
        foreach (var (key, hit) in _hits)
        {
            if (hit.Steps.Add(step) && hit.Steps.Count >= StepsAfter)
            {
                _hits.Remove(key);
            }
        }
    }

    private Hit? First()
    {
        if (_hits.Count == 0)
        {
            return null;
        }

        var weight = _hits.Values.Max(h => h.Weight);
        var weightiest = _hits.Values.Where(h => h.Weight == weight).ToList();
        return weightiest.All(h => h.At is not null) ? weightiest.OrderBy(h => h.At).ThenBy(h => h.Number).First()
            : weightiest.MinBy(h => h.Number);
    }

    private static string Around(string text, int at, int length)
    {
        if (text.Length <= LineMax)
        {
            return text.Trim();
        }

        int from = Math.Max(0, Math.Min(at - 80, text.Length - LineMax));
        string cut = text.Substring(from, Math.Min(LineMax, text.Length - from)).Trim();
        return $"{(from > 0 ? "…" : "")}{cut}{(from + LineMax < text.Length ? "…" : "")}";
    }

    private sealed record Hit(string Class, Weight Weight, string Source, DateTime? At, long Number, string Line)
    {
        /// <summary>Steps that were told after it.</summary>
        public HashSet<long> Steps { get; } = [];
    }
}
