using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Api.OpenApi;

/// <summary>
/// The comments of a proto file by the full name of what they stand above ("Run.state", "OpsService.GetRun"). Descriptors in generated
/// code carry none, so they are read from the file itself, which travels in the assembly.
/// </summary>
internal sealed partial class ProtoComments
{
    private readonly Dictionary<string, string> byName = [];

    public static ProtoComments Of(string proto)
    {
        var comments = new ProtoComments();
        var scope = new Stack<string>();
        var pending = new List<string>();
        foreach (string line in proto.Split('\n').Select(text => text.Trim()))
        {
            if (line.StartsWith("//", StringComparison.Ordinal))
            {
                pending.Add(line[2..].Trim());
                continue;
            }
            if (Declaration().Match(line) is { Success: true } declaration)
            {
                string name = declaration.Groups["name"].Value;
                comments.Note(scope, name, pending);
                if (line.EndsWith('{'))
                {
                    scope.Push(declaration.Groups["kind"].Value == "oneof" ? "" : name);
                }
            }
            else if (Field().Match(line) is { Success: true } field)
            {
                comments.Note(scope, field.Groups["name"].Value, pending);
            }
            else if (line == "}" && scope.Count > 0)
            {
                scope.Pop();
            }
            pending.Clear();
        }
        return comments;
    }

    public string Of(string container, string member) => byName.GetValueOrDefault($"{container}.{member}", "");

    public string Above(string name) => byName.GetValueOrDefault(name, "");

    private void Note(Stack<string> scope, string name, List<string> pending)
    {
        if (pending.Count > 0)
        {
            byName[string.Join('.', scope.Reverse().Where(part => part.Length > 0).Append(name))] = string.Join(' ', pending);
        }
    }

    [GeneratedRegex(@"^(?<kind>message|enum|service|oneof|rpc)\s+(?<name>\w+)")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"(?<name>\w+)\s*=\s*\d+\s*;")]
    private static partial Regex Field();
}
