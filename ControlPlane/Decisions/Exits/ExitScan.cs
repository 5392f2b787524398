namespace DeepSeekOps.Decisions.Exits;

/// <summary>Why a program ended, with the line that says so.</summary>
/// <param name="Class">Of <see cref="ExitClasses"/>.</param>
/// <param name="Line">
/// The line, shortened around what it says; of what is not known the line that looks most like a cause; empty: no line does.
/// </param>
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

    /// <summary>
    /// A shell says "no such file" as its last word or goes on; a launcher adds a few lines below it, a program that goes on prints more.
    /// </summary>
    private const int LastLines = 8;

    /// <summary>Of each class and rank the first is kept; a gang of 2,048 ranks that all say one thing needs no more.</summary>
    private const int HitsMax = 4096;

    /// <summary>A line of evidence is read on a terminal.</summary>
    private const int LineMax = 300;

    private static readonly Lazy<PhraseIndex> Index = new(() => new PhraseIndex(ExitRules.All));

    private static readonly Lazy<PhraseIndex> Last = new(() => new PhraseIndex(ExitRules.Last));

    /// <summary>Words that a line has which may be about a failure; of what no rule knows the line is shown.</summary>
    private static readonly Lazy<TextIndex> Suspicious = new(() => new TextIndex(
        ["error", "exception", "traceback", "fail", "fatal", "cannot", "can't", "could not", "couldn't", "unable", "denied", "refused",
            "abort", "panic", "invalid", "not found", "killed", "missing", "timed out", "timeout", "corrupt", "unexpected", "illegal",
            "mismatch", "unsupported", "exceed", "exited", "stuck", "hang", "hung", "stale", "lost", "dead", "died", "crash",
            "unresponsive", "expired", "reject", "forbidden", "violat", "fehler", "erreur", "ошибка", "エラー", "file \""]));

    /// <summary>Words of lines that may tell a step.</summary>
    private static readonly Lazy<TextIndex> Progressive = new(() =>
        new TextIndex(["step", "iter", "epoch", "batch", "update", "loss", "it/s", "s/it"]));

    private readonly Dictionary<(string Class, Weight Weight, string Source), Hit> _hits = [];
    private readonly Tracebacks _tracebacks = new();
    private OutputLine? _loud;
    private OutputLine? _suspect;
    private long _lines;

    public void Add(long number, string raw)
    {
        string text = OutputLine.Clean(raw);
        if (string.IsNullOrWhiteSpace(text))
        {
            return;
        }

        _lines++;
        string lower = text.ToLowerInvariant();
        bool says = Index.Value.HasAnchor(lower) || Last.Value.HasAnchor(lower), suspicious = Suspicious.Value.Touches(lower);
        // Most lines say nothing; of those only steps after something was said are of use.
        if (!says && !suspicious && !_tracebacks.Open && (_hits.Count == 0 || !Progressive.Value.Touches(lower)))
        {
            return;
        }

        var line = OutputLine.Of(number, text);
        var part = _tracebacks.Read(line);
        if (part == Tracebacks.Part.Frame)
        {
            return;
        }

        if (Told(line, says, suspicious, part) is { } told)
        {
            if (told.Rule.Class.Length > 0)
            {
                Keep(line, told, part);
            }
        }
        else if (line.Step() is { } step)
        {
            Progressed(step, line.Source);
        }
        else if (suspicious && line.Level() is var level and (Loudness.Plain or Loudness.Loud))
        {
            _loud ??= level == Loudness.Loud ? line : null;
            _suspect = line;
        }
    }

    /// <summary>By an exit code too, where there is one: 128 and a signal, or the negative of the signal.</summary>
    public ExitVerdict Verdict(int? code)
    {
        // A program may train on with a loss that is no number, and end well; it did not.
        if (code == 0 && _hits.Values.FirstOrDefault(h => h is { Class: ExitClasses.NotFinite, Weight: Weight.Cause }) is { } broke)
        {
            return new ExitVerdict(broke.Class, broke.Line, broke.Number, broke.Source, true);
        }

        if (code == 0)
        {
            return new ExitVerdict(ExitClasses.Finished, "", 0, "", false);
        }

        var told = code is { } ended ? ExitCodes.Says(ended) : null;
        var hit = First();
        // Of what scripts say all day the shell's code tells which counted.
        if (hit is { Weight: Weight.Mention } && told is { Weight: > Weight.HowEnded } by)
        {
            hit = _hits.Values.Where(h => h.Class == by.Class).MinBy(h => h.Number) ?? hit;
        }

        if (hit is not null && WeightOf(hit) >= (told?.Weight ?? Weight.Mild))
        {
            bool sure = !hit.Guessed && WeightOf(hit) is >= Weight.Exception or Weight.Mention
                || (hit.Class == told?.Class && told?.Weight > Weight.HowEnded);
            return new ExitVerdict(hit.Class, hit.Line, hit.Number, hit.Source, sure);
        }

        if (told is { Weight: Weight.HowEnded } && Announced() is { } announced)
        {
            return new ExitVerdict(announced.Class, announced.Line, announced.Number, announced.Source, false);
        }

        if (told is var (@class, weight))
        {
            var same = _hits.Values.Where(h => h.Class == @class).MinBy(h => h.Number);
            return new ExitVerdict(@class, same?.Line ?? "", same?.Number ?? 0, same?.Source ?? "", weight != Weight.HowEnded);
        }

        return (_loud ?? _suspect) is { } suspect
            ? new ExitVerdict(ExitClasses.Unknown, Around(suspect.Body, 0, 0), suspect.Number, suspect.Source, false)
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

    /// <summary>The phrase with the first say; else what an exception's type says; else what the words point to.</summary>
    private static Finding? Told(OutputLine line, bool says, bool suspicious, Tracebacks.Part part)
    {
        if (says && Index.Value.First(line.Body) is var (rule, at, length))
        {
            var first = new Finding(rule, at, length, false);
            return rule.Class.Length == 0 ? Beside(line.Body, first) ?? first : first;
        }

        var type = ExceptionType.Of(line.Body, part != Tracebacks.Part.None);
        var general = type is null && says ? Last.Value.First(line.Body) : null;
        if (type is null or { General: true } && suspicious && Guess.Of(line.Body) is { } guess)
        {
            var guessed = new ExitRule(guess, type is null ? Weight.Mention : Weight.Exception);
            return new Finding(guessed, type?.At ?? 0, type?.Length ?? 0, true);
        }

        return type is { } known ? new Finding(known.Rule, known.At, known.Length, false)
            : general is var (last, where, size) ? new Finding(last, where, size, false) : null;
    }

    /// <summary>
    /// A cause by its own name on one line with what is none: PyTorch says of a GPU without memory what to try, behind the same full stop.
    /// </summary>
    private static Finding? Beside(string body, Finding none)
    {
        while (Index.Value.First(body) is var (rule, at, length))
        {
            if (rule.Class.Length > 0)
            {
                return rule.Weight == Weight.Cause ? none with { Rule = rule, At = at, Length = length } : null;
            }

            body = $"{body[..at]}{new string('\u00a6', Math.Max(1, length))}{body[Math.Min(body.Length, at + Math.Max(1, length))..]}";
        }

        return null;
    }

    private void Keep(OutputLine line, Finding told, Tracebacks.Part part)
    {
        var level = line.Level();
        bool isError = level == Loudness.Loud || part != Tracebacks.Part.None || ExceptionType.Begins(line.Body);
        var weight = told.Rule.Weight != Weight.Mention || !isError ? told.Rule.Weight : told.Guessed ? Weight.Exception : Weight.Cause;
        // A loss that is no number is told as news, with the step.
        bool isMild = part == Tracebacks.Part.Ignored || (part != Tracebacks.Part.Exception
            && (level == Loudness.Passed || (level == Loudness.Mild && told.Rule.Class != ExitClasses.NotFinite)));
        weight = isMild && weight > Weight.Peer ? Weight.Mild : weight;
        var key = (told.Rule.Class, weight, line.Source);
        // Of mentions the last counts, since it is asked whether one was the last word.
        if (weight == Weight.Mention || (!_hits.ContainsKey(key) && _hits.Count < HitsMax))
        {
            _hits[key] = new Hit(told.Rule.Class, weight, line.Source, line.At(), line.Number, _lines,
                Around(line.Body, told.At, told.Length), told.Guessed);
        }
    }

    private void Progressed(long step, string source)
    {
        foreach (var (key, hit) in _hits)
        {
            // A rank that steps on is alive; of lines that do not say whose they are three steps say it.
            bool sameRank = source.Length > 0 && source == hit.Source;
            if (hit.Steps.Add(step) && (sameRank || hit.Steps.Count >= StepsAfter))
            {
                _hits.Remove(key);
            }
        }
    }

    private Weight WeightOf(Hit hit) => hit.Weight == Weight.Mention && _lines - hit.Said > LastLines ? Weight.Past : hit.Weight;

    private Hit? First()
    {
        if (_hits.Count == 0)
        {
            return null;
        }

        var weight = _hits.Values.Max(WeightOf);
        var weightiest = _hits.Values.Where(h => WeightOf(h) == weight).ToList();
        return weightiest.All(h => h.At is not null) ? weightiest.OrderBy(h => h.At).ThenBy(h => h.Number).First()
            : weightiest.MinBy(h => h.Number);
    }

    /// <summary>What a warning said would come, as the last word before a signal came.</summary>
    private Hit? Announced() => _hits.Values.Where(h => h.Weight == Weight.Mild && _lines - h.Said <= LastLines
        && ExitClasses.Of(h.Class).Announced).MinBy(h => h.Number);

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

    /// <summary>What a line says.</summary>
    /// <param name="Guessed">From words, by no phrase and no type.</param>
    private readonly record struct Finding(ExitRule Rule, int At, int Length, bool Guessed);

    /// <param name="Said">How many lines had been said, with it.</param>
    private sealed record Hit(string Class, Weight Weight, string Source, DateTime? At, long Number, long Said, string Line, bool Guessed)
    {
        /// <summary>Steps that were told after it.</summary>
        public HashSet<long> Steps { get; } = [];
    }
}
