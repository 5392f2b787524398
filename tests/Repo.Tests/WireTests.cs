using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>
/// The wire is a reviewed file: Contracts/wire.txt lists every message, field number and call. A change of the protocol shows up
/// there as a diff. To accept one: DSOPS_ACCEPT=1 bash tests/run Repo.Tests
/// </summary>
public sealed partial class WireTests
{
    private const string SurfaceFile = "Contracts/wire.txt";

    [Fact]
    public void The_wire_is_what_was_reviewed()
    {
        string surface = Surface();
        string file = Path.Combine(Repository.Root, SurfaceFile);
        if (Environment.GetEnvironmentVariable("DSOPS_ACCEPT") == "1")
        {
            File.WriteAllText(file, surface);
        }

        Assert.True(File.Exists(file), $"{SurfaceFile} is missing: run with DSOPS_ACCEPT=1 and review it.");
        Assert.Equal(File.ReadAllText(file), surface);
    }

    [Fact]
    public void No_field_number_is_used_twice_in_a_message()
    {
        string[] twice = [.. Surface().Split('\n').Where(l => l.Contains(" = ", StringComparison.Ordinal))
            .GroupBy(l => (Message: l.Split(' ')[0].Split('.')[0..^1].Aggregate("", (a, b) => a + "." + b), Number: l.Split(" = ")[1]))
            .Where(g => g.Count() > 1).Select(g => $"{g.Key.Message}: {string.Join(" and ", g)}")];
        Assert.Empty(twice);
    }

    [Fact]
    public void Every_enum_begins_with_unspecified()
    {
        string[] wrong = [.. Repository.Files(".proto").SelectMany(path => EnumBody().Matches(Repository.Read(path))
            .Where(m => !FirstIsUnspecified().IsMatch(m.Groups[2].Value)).Select(m => $"{path}: enum {m.Groups[1].Value}"))];
        Assert.Empty(wrong);
    }

    private static string Surface()
    {
        var text = new StringBuilder();
        foreach (string path in Repository.Files(".proto").Order(StringComparer.Ordinal))
        {
            string package = "";
            var scope = new Stack<string>();
            foreach (string line in Repository.Lines(path).Select(l => Comment().Replace(l, "").Trim()))
            {
                if (line.StartsWith("package ", StringComparison.Ordinal))
                {
                    package = line[8..].TrimEnd(';');
                }
                else if (Opens().Match(line) is { Success: true } open)
                {
                    scope.Push(open.Groups[1].Value == "oneof" ? scope.Peek() : open.Groups[2].Value);
                    if (line.EndsWith('}'))
                    {
                        scope.Pop();
                    }
                }
                else if (line.StartsWith("rpc ", StringComparison.Ordinal))
                {
                    text.Append(package).Append('.').Append(scope.Peek()).Append(' ').Append(line.TrimEnd('{', ';').Trim()).Append('\n');
                    if (line.EndsWith('{'))
                    {
                        scope.Push(scope.Peek());
                    }
                }
                else if (Field().Match(line) is { Success: true } field)
                {
                    text.Append(package).Append('.').Append(scope.Peek()).Append('.').Append(field.Groups[2].Value)
                        .Append(' ').Append(field.Groups[1].Value.Trim()).Append(" = ").Append(field.Groups[3].Value).Append('\n');
                }
                else if (line == "}")
                {
                    scope.Pop();
                }
            }
        }

        return text.ToString();
    }

    [GeneratedRegex("//.*$")]
    private static partial Regex Comment();

    [GeneratedRegex(@"^(message|enum|service|oneof) (\w+)\s*\{")]
    private static partial Regex Opens();

    [GeneratedRegex(@"^((?:optional |repeated )?(?:map<[^>]+>|[\w.]*)) ?\b(\w+) = (\d+);")]
    private static partial Regex Field();

    [GeneratedRegex(@"enum (\w+) \{([^}]*)\}")]
    private static partial Regex EnumBody();

    [GeneratedRegex(@"^(\s*//.*\n|\s)*\w+_UNSPECIFIED = 0;")]
    private static partial Regex FirstIsUnspecified();
}
