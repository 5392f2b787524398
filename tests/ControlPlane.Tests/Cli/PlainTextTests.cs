using System.Globalization;
using System.Text;
using System.Text.Json;
using CsCheck;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.Series;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Series;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>What came from outside, on its way to a terminal, a log, a spreadsheet.</summary>
public sealed class PlainTextTests
{
    private static readonly string[] Steers =
    [
        "\u009b31m", "\u202e", "\u2066", "\x1b[2J", "\a", "\0", "\r", "\u2028", "\ud800", "\udc00", "\u00ad", "\ufeff", "\U000E0041",
        "\U0001F642", "loss", "漢", "é",
    ];

    private static readonly Gen<string> Nasty = Gen.OneOf(
        Gen.OneOf(Steers.Select(Gen.Const).ToArray()),
        Gen.String).Array[0, 12].Select(parts => string.Concat(parts));

    [Fact]
    public void Nothing_that_steers_a_terminal_is_left_and_nothing_else_is_lost() => Nasty.Sample(text =>
    {
        string plain = PlainText.Of(text);
        Assert.Equal(text.Length,
            plain.Length
                + text.EnumerateRunes().Count(r => r.Utf16SequenceLength == 2 && Rune.GetUnicodeCategory(r) == UnicodeCategory.Format));
        Assert.DoesNotContain(plain.EnumerateRunes(),
            r => Rune.GetUnicodeCategory(r) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator);
        Assert.Equal(text.EnumerateRunes().Count(Rune.IsLetterOrDigit), plain.EnumerateRunes().Count(Rune.IsLetterOrDigit));
        // A half character becomes the mark for one.
        Assert.Equal(plain, Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(plain)));
        Assert.Same(plain, PlainText.Of(plain));
    });

    [Fact]
    public void Json_on_a_terminal_says_the_same_and_steers_nothing() => Nasty.Sample(text =>
    {
        string line = ProtoJson.Line(new LogEntry { Text = text.ToWellFormed() });
        Assert.Equal(line, PlainText.Of(line));
        Assert.Equal(text.ToWellFormed(), JsonDocument.Parse(line).RootElement.GetProperty("text").GetString());
    });

    /// <summary>However the pieces fall in which it arrives.</summary>
    [Fact]
    public async Task What_another_program_prints_is_cleaned_as_if_it_came_at_once() => await (
        from text in Nasty from ends in Gen.Bool from most in Gen.Int[1, 5] select (text, ends, most)).SampleAsync(async one =>
    {
        string all = one.ends ? $"{one.text}\r\n{one.text}\n" : one.text;
        using var shown = new StringWriter();
        await PlainWriter.Copy(new Drops(all, one.most), shown);
        Assert.Equal(PlainText.Of(all, lines: true), shown.ToString());
    }, iter: 500);

    [Fact]
    public async Task What_the_worker_says_of_a_folder_of_weights_steers_no_terminal()
    {
        string file = Path.Combine(Directory.CreateTempSubdirectory("dsops-plain-").FullName, "config.json");
        await File.WriteAllTextAsync(file, """{"model_type": "deepseek_v3", "evil\u001b[31m\u202e": 5}""",
            TestContext.Current.CancellationToken);
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.NotEqual(0, await CommandLine.Run(["model", "params", file],
            new Terminal(output, error, 80, Colors: false, Interactive: true), CancellationToken.None));
        Assert.Contains("evil [31m  is 5", error.ToString(), StringComparison.Ordinal);
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
    }

    /// <summary>Gives a few characters at a time.</summary>
    private sealed class Drops(string text, int most) : TextReader
    {
        private int at;

        public override ValueTask<int> ReadAsync(Memory<char> buffer, CancellationToken cancellationToken = default)
        {
            int given = Math.Min(Math.Min(most, buffer.Length), text.Length - at);
            text.AsSpan(at, given).CopyTo(buffer.Span);
            at += given;
            return ValueTask.FromResult(given);
        }
    }

    [Fact]
    public async Task Whatever_a_verb_forgets_to_clean_is_cleaned_on_the_way()
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        await CommandLine.Run(["no-\u009bsuch\x1b[2J\u202e-verb"], new Terminal(output, error, 80, Colors: false, Interactive: false),
            CancellationToken.None);
        Assert.Contains("no- such [2J -verb", error.ToString(), StringComparison.Ordinal);
        Assert.Contains("\n", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_log_line_begins_with_its_time_and_nothing_in_it_does() => Nasty.Sample(text =>
    {
        string written = LogText.OfMessage(text + "\n2026-01-01T00:00:00.000Z crit forged")
            + LogText.OfFailure(new InvalidOperationException(text + "\n2026-01-01T00:00:00.000Z crit forged"));
        string[] lines = written.Split('\n');
        Assert.All(lines[1..], line => Assert.StartsWith(LogText.Further, line, StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.TrimEnd('\r').Any(char.IsControl));
    });

    [Theory]
    [InlineData("loss", "loss")]
    [InlineData("=HYPERLINK(\"http://evil\")", "\"'=HYPERLINK(\"\"http://evil\"\")\"")]
    [InlineData("+cmd|calc", "'+cmd|calc")]
    [InlineData("-1", "'-1")]
    [InlineData("@sum", "'@sum")]
    [InlineData(" =1", "' =1")]
    [InlineData("\tx", "'\tx")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("＝1+1", "'＝1+1")]
    public void A_series_name_is_no_formula(string name, string cell) => Assert.Equal(cell, SeriesEndpoints.Quote(name));

    [Theory]
    [InlineData("Hots=127.0.0.1;Password=geheim", "part 1 of 2", "Host")]
    [InlineData("Host=127.0.0.1;Port=x;Password=geheim", "form that its keyword takes", "")]
    [InlineData("Host=127.0.0.1;Password=ge;heim", "part 3 of 3", "")]
    [InlineData("Username=a;Password=geheim", "names no Host", "")]
    [InlineData("postgres://ops:geheim@db/ops", "part 1 of 1", "")]
    public void A_wrong_connection_is_described_without_any_of_its_words(string text, string what, string meant)
    {
        var wrong = Assert.Throws<FormatException>(() => OpsDatabase.Parse(text, "."));
        Assert.Contains(what, wrong.Message, StringComparison.Ordinal);
        Assert.Contains(meant, wrong.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("heim", wrong.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", wrong.ToString(), StringComparison.Ordinal);
    }
}

internal static class Texts
{
    /// <summary>Protobuf takes whole characters only.</summary>
    public static string ToWellFormed(this string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}
