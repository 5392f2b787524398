using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>Alone in its process's environment: the variable is of all.</summary>
public sealed class DatabaseTextTests : IDisposable
{
    private const string Connection = "Host=db;Username=ops;Password=geheim;Database=ops";

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-database-text-").FullName;

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(DatabaseText.Variable, null);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void The_first_line_of_the_file_is_the_connection_without_mark_and_line_end()
    {
        Assert.Equal(Connection, DatabaseText.From(null, Written($"{Connection}\r\nmore")));
        Assert.Equal(Connection, DatabaseText.From(null, Written($"\uFEFF  {Connection}  ")));
        Assert.Equal(Connection, DatabaseText.From("", Written(Connection)));
    }

    [Fact]
    public void Option_and_file_go_before_the_environment_which_workers_do_not_inherit()
    {
        Environment.SetEnvironmentVariable(DatabaseText.Variable, "Host=elsewhere");
        Assert.Equal(Connection, DatabaseText.From(Connection, null));
        Assert.Null(Environment.GetEnvironmentVariable(DatabaseText.Variable));
        Environment.SetEnvironmentVariable(DatabaseText.Variable, "Host=elsewhere");
        Assert.Equal(Connection, DatabaseText.From(null, Written(Connection)));
        Environment.SetEnvironmentVariable(DatabaseText.Variable, "Host=elsewhere");
        Assert.Equal("Host=elsewhere", DatabaseText.From(null, null));
        Assert.Null(DatabaseText.From(null, null));
    }

    [Fact]
    public void Two_databases_an_empty_file_one_without_end_and_one_that_is_not_there_are_refused_and_no_password_is_shown()
    {
        Assert.Contains("name two databases", Refused(Connection, Written(Connection)), StringComparison.Ordinal);
        Assert.Contains("empty first line", Refused(null, Written("")), StringComparison.Ordinal);
        Assert.Contains("empty first line", Refused(null, Written($"\n{Connection}")), StringComparison.Ordinal);
        Assert.Contains("no line end", Refused(null, "/dev/zero"), StringComparison.Ordinal);
        Assert.Contains("cannot be read", Refused(null, Path.Combine(folder, "none")), StringComparison.Ordinal);
    }

    private static string Refused(string? option, string file)
    {
        var refusal = Assert.Throws<RefusalException>(() => DatabaseText.From(option, file));
        Assert.DoesNotContain("geheim", $"{refusal.Message} {refusal.Fix}", StringComparison.Ordinal);
        return refusal.Message;
    }

    private string Written(string text)
    {
        string path = Path.Combine(folder, "connection");
        File.WriteAllText(path, text);
        return path;
    }
}
