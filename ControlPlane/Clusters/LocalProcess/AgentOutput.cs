using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>What an agent's program wrote to its standard output and error: its own lines, each with a time, and what broke it.</summary>
internal static partial class AgentOutput
{
    public const string FileName = "agent.log";

    /// <summary>The end of a file is enough: an exception with its stack is some kB.</summary>
    private const int BytesRead = 64 << 10;

    /// <summary>As evidence of a rank has them.</summary>
    private const int LinesKept = 200;

    private const int LineLengthMax = 500;

    /// <summary>
    /// The lines behind the agent's own last one: an unhandled exception, the loader's or the runtime's complaint. Its own lines tell of
    /// its ranks too, whose ends are not its own.
    /// </summary>
    public static ImmutableArray<string> AfterItsOwn(string folder)
    {
        string[] lines = Tail(Path.Combine(folder, FileName)).Split('\n');
        int own = Array.FindLastIndex(lines, OwnLine().IsMatch);
        return [.. lines.Skip(own + 1).Select(l => l.TrimEnd('\r')).Where(l => l.Length > 0).Select(Cut).Take(LinesKept)];
    }

    /// <summary>The last lines, its own too; empty: there is no such file, or it cannot be read.</summary>
    public static string Tail(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            file.Seek(-Math.Min(file.Length, BytesRead), SeekOrigin.End);
            byte[] bytes = new byte[BytesRead];
            return Encoding.UTF8.GetString(bytes, 0, file.ReadAtLeast(bytes, BytesRead, throwOnEndOfStream: false));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string Cut(string line) => line.Length <= LineLengthMax ? line : line[..LineLengthMax] + "…";

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")]
    private static partial Regex OwnLine();
}
