using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>Where a verb writes: results to Output, everything said about them to Error.</summary>
/// <param name="Width">Columns. A pipe has no edge: tables there are as wide as their content, so that no line is broken in two.</param>
/// <param name="Interactive">A person watches: progress may be redrawn in place.</param>
public sealed record Terminal(TextWriter Output, TextWriter Error, int Width, bool Colors, bool Interactive)
{
    private const int NoEdge = 4_000;

    public static Terminal Standard()
    {
        bool piped = Console.IsOutputRedirected;
        return new Terminal(Console.Out, Console.Error, WidthOfStandard(piped), Colors: !piped && !NoColorWanted, Interactive: !piped)
        {
            ErrorWidth = WidthOfStandard(Console.IsErrorRedirected),
        };
    }

    /// <summary>Of what is said by <see cref="Error"/>: it stays on the terminal where only the result goes into a pipe.</summary>
    public int ErrorWidth { get; init; } = Width;

    /// <summary>Results that programs read or people copy (JSON, pipelines, log lines): their lines are never broken.</summary>
    public TextWriter Document => Output is PlainWriter plain ? plain.Whole : Output;

    /// <summary>The same of errors.</summary>
    public TextWriter ErrorDocument => Error is PlainWriter plain ? plain.Whole : Error;

    /// <summary>Where an answer goes that is JSON or a sentence.</summary>
    public TextWriter Answer(bool json) => json ? Document : Output;

    /// <summary>The same terminal, to which nothing gets that could steer it, and no sentence that is longer than its lines.</summary>
    public Terminal Plain() => this with
    {
        Output = Output as PlainWriter ?? new PlainWriter(Output, Width),
        Error = Error as PlainWriter ?? new PlainWriter(Error, ErrorWidth),
    };

    /// <summary>The same terminal as Spectre draws on it.</summary>
    public IAnsiConsole Ansi(TextWriter? writer = null)
    {
        var ansi = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = Colors || Interactive ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = Colors ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = Interactive ? InteractionSupport.Yes : InteractionSupport.No,
            Out = new AnsiConsoleOutput((writer ?? Output) is PlainWriter plain ? plain.Drawing : writer ?? Output),
        });
        ansi.Profile.Width = Width;
        return ansi;
    }

    /// <summary>https://no-color.org: any value that is not empty.</summary>
    private static bool NoColorWanted => Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };

    private static int WidthOfStandard(bool piped)
    {
        if (int.TryParse(Environment.GetEnvironmentVariable("COLUMNS"), out int columns) && columns >= 20)
        {
            return columns;
        }
        return piped || Console.WindowWidth < 20 ? NoEdge : Console.WindowWidth;
    }
}
