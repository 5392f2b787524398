using System.Text.RegularExpressions;

namespace DeepSeekOps.Repo.Tests;

/// <summary>
/// Who uses whom among the folders of the products: a file uses a room where it names a type that is declared there and can be seen from
/// it. Read from text; a name in a comment counts, since it sends a reader there too.
/// </summary>
internal static partial class Rooms
{
    /// <summary>Folders whose path below is no part of the namespace.</summary>
    private static readonly (string Folder, string Namespace)[] Roots =
    [
        ("ControlPlane/Decisions", "DeepSeekOps.Decisions"), ("ControlPlane", "DeepSeekOps.ControlPlane"),
        ("Contracts/Recipes", "DeepSeekOps.Recipes"),
        ("Contracts", "DeepSeekOps.Contracts"), ("Worker", "DeepSeekOps.Worker"), ("Dashboard", "DeepSeekOps.Dashboard"),
    ];

    private static readonly Lazy<RoomFile[]> All = new(Load);

    /// <summary>The namespace that a file's folder asks for. Null: it is of no product and of no test.</summary>
    public static string? Of(string path)
    {
        string folder = Path.GetDirectoryName(path)?.Replace('\\', '/') ?? "";
        if (folder.StartsWith("tests/", StringComparison.Ordinal))
        {
            return "DeepSeekOps" + folder["tests".Length..].Replace('/', '.');
        }

        var root = Roots.FirstOrDefault(r => folder == r.Folder || folder.StartsWith(r.Folder + "/", StringComparison.Ordinal));
        return root.Folder is null ? null : root.Namespace + folder[root.Folder.Length..].Replace('/', '.');
    }

    /// <summary>From, to, and the file that does it, within the products.</summary>
    public static IEnumerable<(string From, string To, string Path)> Arrows()
    {
        var declared = All.Value.SelectMany(f => f.Declares.Select(type => (f.Room, type))).Distinct().ToLookup(d => d.Room, d => d.type);
        string[] rooms = [.. declared.Select(d => d.Key).Distinct()];
        foreach (var file in All.Value)
        {
            foreach (string room in rooms.Where(
                r => r != file.Room && (Sees(file, r) ? declared[r].Any(file.Words.Contains) : Names(file, r, declared[r]))))
            {
                yield return (file.Room, room, file.Path);
            }
        }
    }

    /// <summary>Groups of rooms that reach each other. A room inside another one may use it: those two are one house.</summary>
    public static IEnumerable<string[]> Circles(IEnumerable<(string From, string To)> arrows)
    {
        var next = arrows.Where(a => !a.From.StartsWith(a.To + ".", StringComparison.Ordinal)).ToLookup(a => a.From, a => a.To);
        string[] rooms = [.. next.Select(n => n.Key)];
        var reach = rooms.ToDictionary(r => r, r => Reached(r, next));
        return rooms.Where(r => reach[r].Contains(r))
            .Select(r =>
                reach[r].Where(other => reach.TryGetValue(other, out var back) && back.Contains(r)).Order(StringComparer.Ordinal).ToArray())
            .DistinctBy(circle => string.Join(' ', circle));
    }

    private static HashSet<string> Reached(string from, ILookup<string, string> next)
    {
        var reached = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>(next[from]);
        while (open.TryPop(out string? room))
        {
            if (reached.Add(room))
            {
                foreach (string further in next[room])
                {
                    open.Push(further);
                }
            }
        }

        return reached;
    }

    private static bool Sees(RoomFile file, string room) =>
        file.Usings.Contains(room) || file.Room.StartsWith(room + ".", StringComparison.Ordinal);

    /// <summary>"Stages.Silence" from a room beside it, or the same with more before it.</summary>
    private static bool Names(RoomFile file, string room, IEnumerable<string> types)
    {
        string last = room[(room.LastIndexOf('.') + 1)..];
        return file.Words.Contains(last) && file.Qualified.Any(q => q.Room == last && types.Contains(q.Type));
    }

    private static RoomFile[] Load()
    {
        string[] paths =
            [.. Repository.Sources().Concat(Repository.Files(".razor"))
                .Where(p => !p.StartsWith("tests/", StringComparison.Ordinal) && Of(p) is not null)];
        string[] imported =
            [.. paths.Where(p => p.EndsWith("_Imports.razor", StringComparison.Ordinal)).SelectMany(p => UsingsOf(Repository.Read(p)))];
        return [.. paths.Where(p => !p.EndsWith("_Imports.razor", StringComparison.Ordinal)).Select(path =>
        {
            string text = Repository.Read(path);
            bool razor = path.EndsWith(".razor", StringComparison.Ordinal);
            string[] declares = razor ? [Path.GetFileNameWithoutExtension(path)]
                : [.. Declaration().Matches(text).Select(m => m.Groups[1].Value)];
            string body = Using().Replace(text, "");
            return new RoomFile(path, Of(path)!, [.. UsingsOf(text), .. razor ? imported : []], declares,
                [.. Word().Matches(body).Select(m => m.Value)],
                [.. QualifiedName().Matches(body).Select(m => (m.Groups[1].Value, m.Groups[2].Value))]);
        })];
    }

    private static IEnumerable<string> UsingsOf(string text) => Using().Matches(text).Select(m => m.Groups[1].Value);

    [GeneratedRegex(@"^@?(?:global )?using (?:static )?(?:\w+ = )?([\w.]+);?[ \t]*\r?\n", RegexOptions.Multiline)]
    private static partial Regex Using();

    [GeneratedRegex(@"^(?:public|internal) [\w ]*?\b(?:class|struct|record|enum|interface) (?!struct\b|class\b)(\w+)",
        RegexOptions.Multiline)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\w+")]
    private static partial Regex Word();

    [GeneratedRegex(@"\b([A-Z]\w*)\.([A-Z]\w*)")]
    private static partial Regex QualifiedName();

    private sealed record RoomFile(
        string Path, string Room, HashSet<string> Usings, string[] Declares, HashSet<string> Words, (string Room, string Type)[] Qualified);
}
