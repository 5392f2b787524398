using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>In .NET $ matches before a last line feed as well, so a pattern that guards a name or a number ends in \z.</summary>
public sealed class PatternTests
{
    /// <summary>Patterns of JSON Schema are JavaScript's, where $ is the end and \z is none.</summary>
    private const string SchemaKey = "[\"pattern\"]";

    [Fact]
    public void No_pattern_that_guards_something_ends_in_a_dollar()
    {
        string[] found = [.. Repository.Sources().Where(path => !path.StartsWith("tests/", StringComparison.Ordinal)).SelectMany(path =>
            Root(Repository.Read(path)).DescendantNodes().Where(IsText).Where(EndsInDollar)
                .Where(text => !IsMultiline(text) && !IsForSchema(text))
                .Select(text => $"{path}:{text.GetLocation().GetLineSpan().StartLinePosition.Line + 1}: {text}"))];
        Assert.Empty(found);
    }

    /// <summary>TorchSharp's manual_seed begins the processor's numbers alone, and what a GPU draws is then another each time.</summary>
    [Fact]
    public void Random_numbers_begin_anew_in_one_place() => Assert.Equal(
        ["Worker/Libtorch/RandomStreams.cs"],
        Repository.Sources().Where(path => path.StartsWith("Worker/", StringComparison.Ordinal))
            .Where(path => Repository.Read(path).Contains("manual_seed(", StringComparison.Ordinal)));

    [Fact]
    public void The_rule_would_see_one()
    {
        var text = Root("class A { [GeneratedRegex(\"^[a-z]+$\")] void B() { } string C = $@\"^{D}$\"; }");
        Assert.Equal(2, text.DescendantNodes().Where(IsText).Count(EndsInDollar));
    }

    private static CompilationUnitSyntax Root(string text) => CSharpSyntaxTree.ParseText(text).GetCompilationUnitRoot();

    private static bool IsText(SyntaxNode node) =>
        node is LiteralExpressionSyntax { RawKind: (int)SyntaxKind.StringLiteralExpression } or InterpolatedStringExpressionSyntax;

    /// <summary>A pattern begins with its anchor or is given to something that is called one.</summary>
    private static bool EndsInDollar(SyntaxNode text)
    {
        string written = text.ToString().TrimStart('$', '@').Trim('"');
        bool pattern = written.StartsWith('^') || written.StartsWith("\\A", StringComparison.Ordinal)
            || text.FirstAncestorOrSelf<AttributeSyntax>()?.Name.ToString() == "GeneratedRegex"
            || text.FirstAncestorOrSelf<ObjectCreationExpressionSyntax>()?.Type.ToString() == "Regex";
        return pattern && written.EndsWith('$') && !written.EndsWith("\\$", StringComparison.Ordinal);
    }

    private static bool IsMultiline(SyntaxNode text) =>
        text.Parent?.Parent?.ToString().Contains("RegexOptions.Multiline", StringComparison.Ordinal) == true;

    private static bool IsForSchema(SyntaxNode text) =>
        text.FirstAncestorOrSelf<AssignmentExpressionSyntax>()?.Left.ToString() == SchemaKey;
}
