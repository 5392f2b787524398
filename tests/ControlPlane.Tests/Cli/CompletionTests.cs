using System.Diagnostics;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>What a shell is told to offer. Names of runs are asked of a real control plane in the end-to-end tests. Half a
/// second.</summary>
public sealed class CompletionTests
{
    [Theory]
    [InlineData("sho", "show")]
    [InlineData("show mini --ra", "--ranks")]
    [InlineData("queue mo", "move")]
    [InlineData("completion ", "zsh")]
    [InlineData("ask mini when-e", "when-ends")]
    [InlineData("events --wa", "--warnings")]
    public async Task The_program_says_what_fits(string line, string offered)
    {
        var (code, output) = await Run($"[suggest:{line.Length}]", line);
        Assert.Equal(ExitCode.Ok, code);
        Assert.Contains(offered, output.Split('\n').Select(one => one.Trim()));
    }

    [Theory]
    [InlineData("bash", "complete -o default -F _dsops dsops")]
    [InlineData("zsh", "compdef _dsops dsops")]
    [InlineData("fish", "complete -c dsops -a '(__dsops_complete)'")]
    public async Task Each_shell_has_a_script_that_asks_the_program(string shell, string last)
    {
        var (code, output) = await Run("completion", shell);
        Assert.Equal((ExitCode.Ok, last), (code, output.TrimEnd().Split('\n')[^1]));
        Assert.Contains("[suggest:", output, StringComparison.Ordinal);
    }

    /// <summary>In bash itself, with a stand-in for the program that says what it was asked and offers a name that would be a
    /// command.</summary>
    [Theory]
    [InlineData("dsops sh", 1, "[suggest:2] sh", "show")]
    [InlineData("dsops --json show mi", 3, "[suggest:14] --json show mi", "mini mini-2")]
    [InlineData("dsops show ", 2, "[suggest:5] show ", "$(touch pwned) mini mini-2 show")]
    public async Task Bash_completes_the_word_at_the_cursor_and_evaluates_nothing(string line, int word, string asked, string offered)
    {
        var (_, script) = await Run("completion", "bash");
        string folder = Directory.CreateTempSubdirectory("dsops-complete-").FullName;
        string said = Path.Combine(folder, "asked");
        string test = $$"""
            cd {{folder}}
            dsops() { echo "$*" > {{said}}; printf '%s\n' '$(touch pwned)' mini mini-2 show; }
            {{script}}
            COMP_LINE='{{line}}' COMP_POINT={{line.Length}} COMP_WORDS=({{line}}) COMP_CWORD={{word}}
            [ {{word}} -lt ${#COMP_WORDS[@]} ] || COMP_WORDS+=("")
            _dsops
            printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
            """;
        using var bash = Process.Start(new ProcessStartInfo("bash", ["--norc", "-c", test])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!;
        string output = await bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string error = await bash.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await bash.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal((offered, asked, ""),
            (output.Trim(), (await File.ReadAllTextAsync(said, TestContext.Current.CancellationToken)).TrimEnd('\n'), error));
        Assert.Equal(["asked"], Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)));
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<(int Code, string Output)> Run(params string[] arguments)
    {
        var output = new StringWriter();
        int code = await CommandLine.Run(arguments, new Terminal(output, TextWriter.Null, 4_000, false, false),
            TestContext.Current.CancellationToken);
        return (code, output.ToString());
    }
}
