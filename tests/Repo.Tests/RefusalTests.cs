using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>
/// A refusal is a sentence: it begins with a capital, or with what a person typed, as it was typed (a field, an option, a name).
/// </summary>
public sealed partial class RefusalTests
{
    /// <summary>What begins the sentence after "error:" and on pages.</summary>
    private static readonly string[] Begin = ["RefusalException", "Refuse", "Refused", "Invalid", "StoreUnwritableException"];

    /// <summary>Sources of sentences that a door or the command line hands on as they are.</summary>
    private static readonly string[] Rooms =
    [
        "ControlPlane/Api/", "ControlPlane/Cli/", "ControlPlane/Client/", "ControlPlane/Clusters/", "ControlPlane/Decisions/Runs/",
        "ControlPlane/Hosting/", "ControlPlane/Grains/",
    ];

    [Fact]
    public void A_refusal_begins_with_a_capital_or_with_what_was_typed()
    {
        var fields = Fields();
        var texts = Repository.Sources().Where(path => Rooms.Any(r => path.StartsWith(r, StringComparison.Ordinal)))
            .SelectMany(path => Texts(Repository.Read(path)).Select(text => (path, text))).ToList();
        Assert.True(texts.Count > 100, $"{texts.Count} texts");
        Assert.Empty(texts.Where(t => !IsWell(t.text, fields)).Select(t => $"{t.path}: {t.text}"));
    }

    [Theory]
    [InlineData("run {run.Name} has ended", false)]
    [InlineData("the database cannot be written", false)]
    [InlineData("Run {run.Name} has ended", true)]
    [InlineData("expertLoads.ratios has {wrong}", true)]
    [InlineData("plan takes either", true)]
    [InlineData("{name} has no stage", true)]
    [InlineData("--out is '{folder}'", true)]
    public void The_rule_would_see_one(string text, bool well)
    {
        Assert.Equal(text, Assert.Single(Texts($"class A {{ void B() => throw new RefusalException($\"{text}\", \"do\"); }}")));
        Assert.Equal(well, IsWell(text, Fields()));
    }

    private static bool IsWell(string text, HashSet<string> fields) => text.Length == 0 || !char.IsLower(text[0])
        || (Typed().Match(text) is { Success: true } match && fields.Contains(match.Groups[1].Value));

    private static HashSet<string> Fields() =>
    [
        "plan", .. Repository.Files(".proto")
            .SelectMany(path => FieldOfProto().Matches(Repository.Read(path)).Select(m => Camel(m.Groups[1].Value))),
    ];

    private static string Camel(string snake) =>
        Underscore().Replace(snake, m => m.Groups[1].Value.ToUpperInvariant());

    private static IEnumerable<string> Texts(string source) => CSharpSyntaxTree.ParseText(source).GetCompilationUnitRoot().DescendantNodes()
        .Select(node => node switch
        {
            ObjectCreationExpressionSyntax made => (Name: made.Type.ToString().Split('.')[^1], made.ArgumentList),
            InvocationExpressionSyntax called => (Name: called.Expression.ToString().Split('.')[^1], called.ArgumentList),
            _ => (Name: "", null),
        })
        .Where(call => Begin.Contains(call.Name)).Select(call => call.ArgumentList?.Arguments.FirstOrDefault()?.Expression)
        .Select(Beginning).OfType<string>();

    /// <summary>Null: the text is made elsewhere.</summary>
    private static string? Beginning(ExpressionSyntax? text) => text switch
    {
        BinaryExpressionSyntax { RawKind: (int)SyntaxKind.AddExpression } sum => Beginning(sum.Left),
        LiteralExpressionSyntax { RawKind: (int)SyntaxKind.StringLiteralExpression } plain => plain.Token.ValueText,
        InterpolatedStringExpressionSyntax parts => parts.Contents.ToString(),
        _ => null,
    };

    [GeneratedRegex(@"^([a-z][A-Za-z]*)(?:\.\w+)* (?:is|has|are|and|takes|belong|names|')")]
    private static partial Regex Typed();

    [GeneratedRegex(@"(\w+) = \d+;")]
    private static partial Regex FieldOfProto();

    [GeneratedRegex("_([a-z])")]
    private static partial Regex Underscore();
}
