using System.CommandLine;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class CommandLineTests
{
    [Fact]
    public async Task Help_of_every_verb_fits_80_columns_with_its_examples_in_a_pipe_too()
    {
        var (_, root, _) = await Run(80, "--help");
        Assert.Contains("dsops dev --submit deploy/examples/mini.yaml", root, StringComparison.Ordinal);
        string[][] paths = [.. Paths(CommandLine.Build(Terminal(80, TextWriter.Null, TextWriter.Null)), [])];
        Assert.Contains(paths, path => path is ["cluster", "maintenance", "plan"]);
        foreach (string[] path in paths)
        {
            var (code, help, _) = await Run(4_000, [.. path, "--help"]);
            Assert.Equal(ExitCode.Ok, code);
            Assert.All(help.Split('\n'), line => Assert.True(line.TrimEnd().Length <= 80, $"{string.Join(' ', path)}: {line}"));
            string verb = string.Join(' ', path);
            Assert.All(help.Split("Examples:").Skip(1).SelectMany(examples => examples.Split("\n  dsops ").Skip(1)),
                example => Assert.True(path.Length < 2 || example.StartsWith(verb, StringComparison.Ordinal), $"{verb}: {example}"));
        }
    }

    /// <summary>What completes an argument was printed in place of its name: questions, or every run there is.</summary>
    [Fact]
    public async Task Help_names_an_argument_by_its_name_whatever_completes_it()
    {
        var (_, help, _) = await Run(80, "ask", "--help");
        Assert.Contains("  <question>  Name of a run", help, StringComparison.Ordinal);
        Assert.Equal(["run", "runs"], All(CommandLine.Build(Terminal(80, TextWriter.Null, TextWriter.Null)))
            .Where(argument => argument.Name is "run" or "runs").Select(argument => argument.HelpName).Distinct().Order());

        static IEnumerable<Argument> All(Command command) => command.Arguments.Concat(command.Subcommands.SelectMany(All));
    }

    /// <summary>It was an exception of .NET's and a core dump, in a cron job whose variable is not set.</summary>
    [Theory]
    [InlineData("--out is empty.", "backup", "--out", "")]
    [InlineData("--out is empty.", "export", "mini", "--out", "")]
    [InlineData("--data-dir is empty.", "backup", "--out", "x", "--data-dir", "")]
    [InlineData("--data-dir is empty.", "--data-dir", "", "runs")]
    [InlineData("--key-file is empty.", "restore", "x", "--key-file", "")]
    [InlineData("<file> is empty.", "restore", "")]
    public async Task An_empty_path_is_refused_by_its_option(string said, params string[] words)
    {
        var (code, output, error) = await Run(80, words);
        Assert.Equal((ExitCode.Usage, ""), (code, output));
        Assert.Contains(said, error, StringComparison.Ordinal);
    }

    /// <summary>A backup of what was here was taken for one of what the address names.</summary>
    [Theory]
    [InlineData("--server is 'https://ops.example', and `dsops backup` asks no control plane",
        "backup", "--out", "x", "--server", "https://ops.example")]
    [InlineData("--server is 'https://ops.example', and `dsops doctor` asks no control plane", "--server", "https://ops.example", "doctor")]
    [InlineData("--ca is 'ca.pem', and `dsops restore` asks no control plane", "restore", "x", "--ca", "ca.pem")]
    public async Task A_verb_that_asks_no_control_plane_refuses_the_address_of_one(string said, params string[] words)
    {
        var (code, output, error) = await Run(4_000, words);
        Assert.Equal((ExitCode.Usage, ""), (code, output));
        Assert.Contains(said, error, StringComparison.Ordinal);
        Assert.Contains("fix: Leave --", error, StringComparison.Ordinal);
        Assert.Contains("--data-dir DIR, or --database-file FILE", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_verb_that_asks_one_takes_the_address_and_each_that_does_not_is_there()
    {
        var (code, _, error) = await Run(4_000, "runs", "--server", "http://127.0.0.1:1");
        Assert.Equal(ExitCode.NotReachable, code);
        Assert.Contains("127.0.0.1:1", error, StringComparison.Ordinal);
        Assert.Subset(CommandLine.Build(Terminal(80, TextWriter.Null, TextWriter.Null)).Subcommands.Select(c => c.Name).ToHashSet(),
            CommandLine.WithoutServer.ToHashSet());
    }

    /// <summary>A default has no value yet where options are held against each other.</summary>
    [Theory]
    [InlineData(false, "dev", "--drills")]
    [InlineData(false, "dev", "--drills", "--cluster", "local")]
    [InlineData(false, "dev", "--cluster", "simulated", "--drills")]
    [InlineData(true, "dev", "--drills", "--cluster", "kubernetes")]
    public void Drills_are_for_machines_that_are_ours_alone_as_they_are_by_default(bool refused, params string[] words)
    {
        var errors = CommandLine.Build(Terminal(80, TextWriter.Null, TextWriter.Null)).Parse(words).Errors.Select(e => e.Message);
        string[] said = ["--drills is for --cluster local or simulated: machines of kubernetes are not broken on purpose."];
        Assert.Equal(refused ? said : [], errors);
    }

    private static IEnumerable<string[]> Paths(Command command, string[] path) => command.Subcommands.SelectMany(
        sub => new[] { (string[])[.. path, sub.Name] }.Concat(Paths(sub, [.. path, sub.Name])));

    /// <summary>A word longer than the line is a path or an address that people copy.</summary>
    [Theory]
    [InlineData("error: one two three", 12, "error: one", "  two three")]
    [InlineData("    fix: one two three", 16, "    fix: one two", "      three")]
    [InlineData("see /a/path/without/an/end now", 10, "see", "  /a/path/without/an/end", "  now")]
    [InlineData("short", 20, "short")]
    public async Task A_sentence_is_broken_between_words_and_a_document_never(string said, int width, params string[] lines)
    {
        var output = new StringWriter();
        var terminal = Terminal(width, output, TextWriter.Null).Plain();
        await terminal.Output.WriteLineAsync(said);
        Assert.Equal(string.Join('\n', lines) + "\n", output.ToString());
        await terminal.Document.WriteLineAsync(said);
        Assert.EndsWith($"\n{said}\n", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_refusal_on_a_narrow_terminal_keeps_its_width()
    {
        string[][] wrong = [["runz"], ["show"], ["show", "a", "--data-dir", "/nowhere"], ["queue", "move", "x"],
            ["incidents", "hold", "mini", "--for", "x"], ["why"], ["plan", "no.yaml"], ["spikes", "no.csv"], ["cluster", "drain"],
            ["dev", "--port", "x"], ["events", "--follow"], ["events", "--after", "3"], ["events", "mini", "--since", "night"]];
        foreach (string[] words in wrong)
        {
            var (code, output, error) = await Run(60, words);
            Assert.NotEqual(ExitCode.Ok, code);
            Assert.All((output + error).Split('\n').Where(line => line.Trim().Contains(' ', StringComparison.Ordinal)),
                line => Assert.True(line.Length <= 60, $"{string.Join(' ', words)}: {line}"));
        }
    }

    /// <summary>What checks a flag is asked about it also where nobody wrote it.</summary>
    [Fact]
    public void Each_cluster_can_be_served_and_a_deputy_only_where_there_is_something_to_take_over()
    {
        var root = CommandLine.Build(Terminal(80, TextWriter.Null, TextWriter.Null));
        Assert.All(HostVerbs.Clusters, word => Assert.Empty(root.Parse(["serve", "--cluster", word]).Errors));
        Assert.Single(root.Parse(["serve", "--cluster", "simulated", "--deputy"]).Errors);
    }

    [Theory]
    [InlineData("shwo", "show")]
    [InlineData("qeueu", "queue")]
    [InlineData("chekpoints", "checkpoints")]
    public async Task Swapped_letters_of_a_verb_name_the_one_that_was_meant(string written, string meant)
    {
        var (code, _, error) = await Run(80, written);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains($"Did you mean `dsops {meant}`?", error, StringComparison.Ordinal);
    }

    /// <summary>`runs --al` listed all runs, and `show --jsn` looked for a run of that name.</summary>
    [Theory]
    [InlineData("runs --al", "dsops runs has no option '--al'.", "Did you mean --all?")]
    [InlineData("show --jsn", "dsops show has no option '--jsn'.", "Did you mean --json?")]
    [InlineData("show mini --jsn", "dsops show has no option '--jsn'.", "Did you mean --json?")]
    [InlineData("logs mini --rnak 0", "dsops logs has no option '--rnak'.", "Did you mean --rank?")]
    [InlineData("checkpoints mini --stage --data-dir D", "--stage has no value: --data-dir follows it.", "dsops checkpoints --help")]
    [InlineData("logs mini --rank --json", "--rank has no value: --json follows it.", "dsops logs --help")]
    [InlineData("runs --search --all", "--search has no value: --all follows it.", "dsops runs --help")]
    public async Task A_misspelt_option_is_never_a_name(string written, string problem, string fix)
    {
        var (code, _, error) = await Run(80, written.Split(' '));
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(problem, error, StringComparison.Ordinal);
        Assert.Contains(fix, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("compare mini", "dsops compare takes 2 runs or more; 1 given.")]
    [InlineData("compare", "dsops compare takes 2 runs or more; 0 given.")]
    public async Task A_verb_of_two_runs_says_so(string written, string problem)
    {
        var (code, _, error) = await Run(80, written.Split(' '));
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(problem, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_plan_of_the_whole_recipe_fits_80_columns()
    {
        var (code, plan, _) = await Run(80, "plan", Path.Combine(Pipelines.Examples.Root, "deploy", "examples", "deepseek-v3.yaml"));
        Assert.Equal(ExitCode.Ok, code);
        Assert.All(plan.Split('\n'), line => Assert.InRange(line.TrimEnd().Length, 0, 80));
        Assert.Contains("2.79", plan, StringComparison.Ordinal);
        Assert.Contains("1 spare node", plan, StringComparison.Ordinal);
        Assert.Matches(@"\ndistill .* 0\.041 .* 0\.04\d s", plan);
        Assert.DoesNotContain("1 spare nodes", plan, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("deepseek-v3.yaml", "MEMORY    ETTR", 80)]
    [InlineData("mini.yaml", "TOKENS  CHECKPOINT", 60)]
    public async Task A_plan_in_a_pipe_has_the_table_that_a_terminal_has_and_no_column_without_a_figure(string file, string ends, int width)
    {
        string path = Path.Combine(Pipelines.Examples.Root, "deploy", "examples", file);
        var (_, plan, _) = await Run(4_000, "plan", path);
        string[] table =
            [.. plan.Split('\n').SkipWhile(l => !l.StartsWith("STAGE", StringComparison.Ordinal)).TakeWhile(l => l.Length > 0)];
        Assert.Equal(6, table.Length);
        Assert.EndsWith(ends, table[0].TrimEnd(), StringComparison.Ordinal);
        Assert.All(table, line => Assert.InRange(line.TrimEnd().Length, 1, width));
        Assert.Contains("checkpoint", plan, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task What_is_wrong_stays_within_the_terminal_where_only_the_result_goes_into_a_pipe()
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var terminal = Terminal(4_000, output, error) with { ErrorWidth = 60 };
        string missing = Path.Combine(Path.GetTempPath(), "a-pipeline-that-is-not-there.yaml");
        await CommandLine.Run(["plan", missing], terminal, TestContext.Current.CancellationToken);
        Assert.Empty(output.ToString());
        Assert.All(error.ToString().Split('\n').Where(line => !line.Contains(missing, StringComparison.Ordinal)),
            line => Assert.InRange(line.TrimEnd().Length, 0, 60));
        Assert.True(error.ToString().Trim().Split('\n').Length > 2, error.ToString());
    }

    [Fact]
    public async Task A_verb_that_does_not_exist_is_wrong_use_and_names_the_near_one()
    {
        var (code, _, error) = await Run(80, "runz");
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("runs", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--cluster", "local", "--deputy with --cluster local has nothing to take over")]
    [InlineData("--cluster", "simulated", "--deputy with --cluster simulated has nothing to take over")]
    public async Task A_deputy_is_of_a_cluster_that_outlives_its_control_plane(string option, string value, string words)
    {
        var (code, _, error) = await Run(80, "serve", "--deputy", option, value);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(words, error.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.0.0.0:5083", "write the address that the others reach")]
    [InlineData("here", "write this machine's IP address and a port, such as 10.0.0.5:5083")]
    [InlineData("127.0.0.1:5083 --deputy", "--silo works and --deputy waits: leave one of them out.")]
    [InlineData("127.0.0.1:5083 --cluster local", "--silo with --cluster local is not possible")]
    [InlineData("127.0.0.1:5083", "--silo needs a database that all reach, and SQLite is a file of one process.")]
    public async Task A_silo_needs_an_address_a_cluster_and_a_database_that_others_reach_too(string arguments, string words)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-cli-").FullName;
        string settings = Path.Combine(Pipelines.Examples.Root, "deploy", "kubernetes", "cluster.yaml");
        var (code, _, error) = await Run(
            200, ["serve", "--cluster-settings", settings, "--data-dir", folder, "--silo", .. arguments.Split(' ')]);
        Directory.Delete(folder, recursive: true);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(words, error.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--https 0.0.0.0:8443 --public-url https://ops.example.com", "--https has no certificate: without one, tokens")]
    [InlineData("--https 0.0.0.0:8443 --https-cert a.crt", "--https-cert is given without --https-key")]
    [InlineData("--https 0.0.0.0:8443 --https-cert a.crt --https-key a.key", "--https has no name")]
    [InlineData("--https ops:8443 --https-cert a --https-key b --public-url https://ops", "--https is 'ops:8443'; write an IP address")]
    [InlineData("--public-url https://ops.example.com", "--public-url is given without --https")]
    [InlineData("--https 0.0.0.0:8443 --https-cert a --https-key b --public-url http://ops", "--public-url is 'http://ops'; write what")]
    [InlineData("--https 0.0.0.0:8443 --https-cert a --https-key b --public-url https://ops/dsops", "--public-url is 'https://ops/dsops'")]
    public async Task People_of_other_machines_are_let_in_by_TLS_and_names_alone(string arguments, string words)
    {
        var (code, _, error) = await Run(200, ["serve", .. arguments.Split(' ')]);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(words, error.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--oidc-authority http://login.example.com --oidc-client-id x --oidc-admins a", "--oidc-authority is 'http://login")]
    [InlineData("--oidc-authority login.example.com --oidc-client-id x --oidc-admins a", "write an https address")]
    [InlineData("--oidc-authority https://l.example.com?x=1 --oidc-client-id x --oidc-admins a", "--oidc-authority is 'https://l.example")]
    [InlineData("--oidc-authority https://l.example.com --oidc-admins a", "--oidc-authority is given without --oidc-client-id")]
    [InlineData("--oidc-authority https://l.example.com --oidc-client-id x", "--oidc-authority lets nobody in")]
    [InlineData("--oidc-client-id x", "--oidc-client-id is given without --oidc-authority")]
    [InlineData("--oidc-viewers x", "--oidc-viewers is given without --oidc-authority")]
    [InlineData("--oidc-authority https://l.example.com --oidc-client-id x --oidc-viewers a=", "--oidc-viewers is 'a='; write values")]
    [InlineData("--oidc-authority https://l.example.com --oidc-client-id x --oidc-operators =alpha", "--oidc-operators is '=alpha'")]
    [InlineData("--oidc-authority https://l.example.com --oidc-client-id x --oidc-operators a=b/c", "A team has letters, digits")]
    [InlineData("--oidc-authority https://l.example.com --oidc-client-id x --oidc-admins a --oidc-session 2d", "lasts between 5m and 24h")]
    [InlineData("--oidc-authority https://l.example.com --oidc-client-id x --oidc-admins a --oidc-session soon", "which is not a time")]
    public async Task What_a_sign_in_by_a_provider_needs_is_asked_for_by_its_option(string arguments, string words)
    {
        var (code, _, error) = await Run(200, ["serve", .. arguments.Split(' ')]);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(words, error.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_secret_that_cannot_be_read_is_refused_with_its_option()
    {
        string[] right = ["serve", "--oidc-authority", "https://l.example.com", "--oidc-client-id", "x", "--oidc-viewers", "a,b=beta"];
        var (code, _, error) = await Run(200, [.. right, "--oidc-client-secret-file", "/no-such-file"]);
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("--oidc-client-secret-file /no-such-file cannot be read", error.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "--deputy needs a database that all reach, and SQLite is a file of one process.")]
    [InlineData("no-such.key", "no-such.key is not there.")]
    [InlineData("wrong.key", "wrong.key is not a key of dsops.")]
    public async Task A_deputy_without_a_database_or_a_key_is_refused_before_it_waits(string? key, string words)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-cli-").FullName;
        string settings = Path.Combine(Pipelines.Examples.Root, "deploy", "kubernetes", "cluster.yaml");
        await File.WriteAllTextAsync(Path.Combine(folder, "wrong.key"), "not a key", TestContext.Current.CancellationToken);
        string[] arguments = ["serve", "--deputy", "--cluster-settings", settings, "--data-dir", folder];
        string[] more = key is null ? [] : ["--key-file", Path.Combine(folder, key), "--database", "Host=127.0.0.1;Port=1;Database=none"];
        var (code, _, error) = await Run(200, [.. arguments, .. more]);
        Directory.Delete(folder, recursive: true);
        Assert.NotEqual(ExitCode.Ok, code);
        Assert.Contains(words, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_control_plane_a_verb_ends_with_4_and_says_how_to_start_one()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-cli-").FullName;
        var (code, _, error) = await Run(80, "show", "mini", "--data-dir", folder, "--json");
        Directory.Delete(folder);
        Assert.Equal(ExitCode.NotReachable, code);
        Assert.Contains("dsops dev", (string?)JsonNode.Parse(error)?["error"]?["fix"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "data is a file.")]
    [InlineData("/below", "data is a file.")]
    [InlineData("dsops.key", "dsops.key is a folder, and dsops keeps its key in a file of that name.")]
    public async Task What_is_in_the_way_of_the_data_directory_or_its_key_is_named(string what, string words)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-cli-").FullName, data = Path.Combine(folder, "data");
        if (what.EndsWith(".key", StringComparison.Ordinal))
        {
            Directory.CreateDirectory(Path.Combine(data, what));
        }
        else
        {
            await File.WriteAllTextAsync(data, "a file", TestContext.Current.CancellationToken);
            data += what;
        }

        var (code, _, error) = await Run(200, "dev", "--cluster", "simulated", "--data-dir", data, "--port", "0");
        Directory.Delete(folder, recursive: true);
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains(words, error, StringComparison.Ordinal);
        Assert.Contains("Move ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_beyond_the_last_is_wrong_use()
    {
        var (code, _, error) = await Run(80, "dev", "--port", "70000");
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("65535", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--port", "80000x", "--port")]
    [InlineData("--nodes", "two", "--nodes")]
    [InlineData("--time-factor", "fast", "--time-factor")]
    [InlineData("--database", "garbage", "connection string")]
    [InlineData("--database", "Host=x;Port=abc", "connection string")]
    public async Task A_value_that_is_none_is_refused_as_wrong_use(string option, string value, string said)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-cli-").FullName;
        var (code, _, error) = await Run(80, "dev", option, value, "--data-dir", folder);
        Directory.Delete(folder, recursive: true);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(said, error, StringComparison.Ordinal);
        Assert.Contains("fix:", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_has_every_field_and_NaN_in_words_for_a_loss_that_is_no_number()
    {
        var run = new Run { Name = "mini", State = "running" };
        run.Stages.Add(new Stage { Name = "pretrain", Kind = "pretraining", Loss = double.NaN, TotalSteps = 305 });
        var stage = JsonNode.Parse(ProtoJson.Document(run))?["stages"]?[0]?.AsObject();
        Assert.NotNull(stage);
        Assert.All(
            new[] { "name", "kind", "state", "reason", "attempt", "step", "totalSteps", "tokens", "loss", "mfu", "ranks",
                "remainingSeconds" },
            field => Assert.True(stage.ContainsKey(field), field));
        Assert.Equal("NaN", (string?)stage["loss"]);
        Assert.Null(stage["mfu"]);
        Assert.Equal(305, (long?)stage["totalSteps"]);
    }

    private static Terminal Terminal(int width, TextWriter output, TextWriter error) =>
        new(output, error, width, Colors: false, Interactive: false);

    private static async Task<(int Code, string Output, string Error)> Run(int width, params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        int code = await CommandLine.Run(arguments, Terminal(width, output, error), TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
