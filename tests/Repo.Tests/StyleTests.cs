using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>Style as a test: what a reviewer would otherwise say again and again.</summary>
public sealed partial class StyleTests
{
    private const int FileLinesMax = 400;
    private const int FunctionLinesMax = 80;
    private const int WidthMax = 140;

    private static readonly Lazy<(string Path, CompilationUnitSyntax Root)[]> Trees = new(() =>
        [.. Repository.Sources().Select(path => (path, CSharpSyntaxTree.ParseText(Repository.Read(path)).GetCompilationUnitRoot()))]);

    [Fact]
    public void No_source_file_is_longer_than_a_reader_can_hold()
    {
        string[] tooLong = [.. Repository.Sources().Concat(Repository.Files(".razor"))
            .Select(path => (path, lines: Repository.Lines(path).Length))
            .Where(f => f.lines > FileLinesMax)
            .Select(f => $"{f.path}: {f.lines} lines (at most {FileLinesMax})")];
        Assert.Empty(tooLong);
    }

    [Fact]
    public void No_function_is_longer_than_a_screen()
    {
        string[] tooLong = [.. Trees.Value.SelectMany(t => t.Root.DescendantNodes().OfType<BaseMethodDeclarationSyntax>()
            .Where(m => m.Body is not null || m.ExpressionBody is not null)
            .Select(m => (t.Path, Name: NameOf(m), Lines: LinesOf(m)))
            .Where(m => m.Lines > FunctionLinesMax)
            .Select(m => $"{m.Path}: {m.Name} has {m.Lines} lines (at most {FunctionLinesMax})"))];
        Assert.Empty(tooLong);
    }

    /// <summary>A text in raw quotes (a pipeline, a page, a usage) is as wide as whoever reads it wants it.</summary>
    [Fact]
    public void No_line_is_wider_than_140_columns()
    {
        string[] wide = [.. Trees.Value.SelectMany(t =>
        {
            var texts = RawTexts(t.Root).ToList();
            return Repository.Lines(t.Path).Index()
                .Where(l => l.Item.Length > WidthMax && !texts.Exists(text => text.First <= l.Index && l.Index <= text.Last))
                .Select(l => $"{t.Path}:{l.Index + 1}: {l.Item.Length} columns");
        })];
        Assert.Empty(wide);
    }

    /// <summary>As an editor formats it by .editorconfig, so that a change shows what was changed.</summary>
    [Fact]
    public async Task The_formatter_finds_no_white_space_to_change()
    {
        string[] words = ["format", "whitespace", "--folder", ".", "--verify-no-changes", "--exclude", "artifacts"];
        var start = new ProcessStartInfo("dotnet", words)
        {
            WorkingDirectory = Repository.Root, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var formatter = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
        var problems = formatter.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string said = await formatter.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken) + await problems;
        await formatter.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(formatter.ExitCode == 0, $"run: dotnet {string.Join(' ', words.Where(w => w != "--verify-no-changes"))}\n{said}");
    }

    [Fact]
    public void Nothing_is_left_for_later()
    {
        string[] leftovers = [.. Repository.Files(".cs", ".razor", ".js", ".proto", ".css", ".yaml")
            .Where(path => !path.StartsWith("tests/Repo.Tests/", StringComparison.Ordinal))
            // A library that is shipped as its authors published it keeps their notes.
            .Where(path => !path.Contains("/wwwroot/lib/", StringComparison.Ordinal))
            .SelectMany(path => Repository.Lines(path)
                .Select((text, index) => (text, index))
                .Where(l => Leftover().IsMatch(l.text))
                .Select(l => $"{path}:{l.index + 1}: {l.text.Trim()}"))];
        Assert.Empty(leftovers);
    }

    [Fact]
    public void Types_are_named_for_what_they_are()
    {
        string[] vague = [.. TypesWithPaths()
            .Where(t => VagueSuffix().IsMatch(t.Type.Identifier.Text))
            // gRPC names its service classes so, and MudBlazor and Orleans derive from names that end so.
            .Where(t => !(t.Path.StartsWith("ControlPlane/Api/", StringComparison.Ordinal)
                && t.Type.Identifier.Text.EndsWith("Service", StringComparison.Ordinal)))
            .Select(t => $"{t.Path}: {t.Type.Identifier.Text}")];
        Assert.Empty(vague);
    }

    [Fact]
    public void An_interface_has_two_implementations_or_a_framework_that_needs_it()
    {
        var types = TypesWithPaths().ToArray();
        string[] lonely = [.. types
            .Where(t => t.Type is InterfaceDeclarationSyntax && !IsGrainSurface((InterfaceDeclarationSyntax)t.Type))
            .Where(t => types.Count(other => Implements(other.Type, t.Type.Identifier.Text)) < 2)
            .Select(t => $"{t.Path}: {t.Type.Identifier.Text}")];
        Assert.Empty(lonely);
    }

    [Fact]
    public void Only_the_tick_catches_everything()
    {
        string[] greedy = [.. Trees.Value
            .Where(t => !t.Path.StartsWith("tests/", StringComparison.Ordinal))
            .SelectMany(t => t.Root.DescendantNodes().OfType<CatchClauseSyntax>()
                .Where(c =>
                    c.Filter is null && (c.Declaration is null || c.Declaration.Type.ToString() is "Exception" or "System.Exception"))
                // To undo and throw on swallows nothing. Otherwise a catch that says why it must take all is a decision; one that says
                // nothing is a habit.
                .Where(c => c.Block.Statements.LastOrDefault() is not ThrowStatementSyntax { Expression: null })
                .Where(c => !c.ToFullString().Contains("catches all", StringComparison.OrdinalIgnoreCase))
                .Select(c => $"{t.Path}:{c.GetLocation().GetLineSpan().StartLinePosition.Line + 1}"))];
        Assert.Empty(greedy);
    }

    [Fact]
    public void Tests_are_sentences()
    {
        string[] terse = [.. Trees.Value.Where(t => t.Path.StartsWith("tests/", StringComparison.Ordinal))
            .SelectMany(t => t.Root.DescendantNodes().OfType<MethodDeclarationSyntax>()
                .Where(m => m.AttributeLists.SelectMany(a => a.Attributes).Any(a => a.Name.ToString() is "Fact" or "Theory"))
                .Where(m => m.Identifier.Text.Count(c => c == '_') < 2)
                .Select(m => $"{t.Path}: {m.Identifier.Text}"))];
        Assert.Empty(terse);
    }

    [Fact]
    public void A_skipped_test_says_why()
    {
        string[] silent = [.. Trees.Value.Where(t => t.Path.StartsWith("tests/", StringComparison.Ordinal))
            .SelectMany(t => t.Root.DescendantNodes().OfType<AttributeArgumentSyntax>()
                .Where(a => a.NameEquals?.Name.Identifier.Text == "Skip" && a.Expression.ToString().Trim('"').Length < 10)
                .Select(a => $"{t.Path}: Skip = {a.Expression}"))];
        Assert.Empty(silent);
    }

    /// <summary>Lines within raw quotes, from 0.</summary>
    private static IEnumerable<(int First, int Last)> RawTexts(CompilationUnitSyntax root) =>
        from node in root.DescendantNodes()
        where node is InterpolatedStringExpressionSyntax
        {
            StringStartToken.RawKind: (int)SyntaxKind.InterpolatedMultiLineRawStringStartToken
        }
            or LiteralExpressionSyntax
        {
            Token.RawKind: (int)SyntaxKind.MultiLineRawStringLiteralToken or (int)SyntaxKind.Utf8MultiLineRawStringLiteralToken
        }
        let span = node.GetLocation().GetLineSpan()
        select (span.StartLinePosition.Line + 1, span.EndLinePosition.Line - 1);

    private static IEnumerable<(string Path, BaseTypeDeclarationSyntax Type)> TypesWithPaths() =>
        Trees.Value.SelectMany(t => t.Root.DescendantNodes().OfType<BaseTypeDeclarationSyntax>().Select(type => (t.Path, type)));

    private static bool Implements(BaseTypeDeclarationSyntax type, string name) =>
        type.BaseList?.Types.Any(b => BareName(b.Type) == name) == true;

    private static bool IsGrainSurface(InterfaceDeclarationSyntax type) =>
        type.BaseList?.Types.Any(b => BareName(b.Type).StartsWith("IGrain", StringComparison.Ordinal)) == true;

    private static string BareName(TypeSyntax type) => type switch
    {
        QualifiedNameSyntax qualified => qualified.Right.Identifier.Text,
        SimpleNameSyntax simple => simple.Identifier.Text,
        _ => type.ToString(),
    };

    private static string NameOf(BaseMethodDeclarationSyntax method) => method switch
    {
        MethodDeclarationSyntax m => m.Identifier.Text,
        ConstructorDeclarationSyntax c => c.Identifier.Text,
        _ => method.Kind().ToString(),
    };

    private static int LinesOf(SyntaxNode node)
    {
        var span = node.GetLocation().GetLineSpan();
        return span.EndLinePosition.Line - span.StartLinePosition.Line + 1;
    }

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|XXX)\b|NotImplementedException|for now\b|in a real (system|world)|placeholder for",
        RegexOptions.IgnoreCase)]
    private static partial Regex Leftover();

    [GeneratedRegex("(Manager|Helper|Helpers|Util|Utils|Utility|Processor|Service)$")]
    private static partial Regex VagueSuffix();
}
