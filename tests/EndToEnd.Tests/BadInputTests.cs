using System.Net;
using System.Net.Sockets;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Nonsense gets one clear message with the fix, and nothing is lost.</summary>
public sealed class BadInputTests(Shared shared)
{
    [Fact]
    public async Task A_second_dev_on_one_data_directory_is_refused_by_name()
    {
        var dsops = await shared.Idle;
        var (code, _, error) = await dsops.Verb("dev", "--port", "0");
        Assert.Equal(3, code);
        OneClearMessage(error, dsops.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_port_in_use_is_named_with_the_fix()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        string port = ((IPEndPoint)taken.LocalEndpoint).Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        string folder = Directory.CreateTempSubdirectory("dsops-e2e-").FullName;
        var (code, _, error) = await Dsops.Run("dev", "--data-dir", folder, "--port", port);
        Directory.Delete(folder, recursive: true);
        Assert.Equal(3, code);
        OneClearMessage(error, port, "--port");
    }

    /// <summary>As on a disk that becomes full while it starts: it stood there, answered 500 and could not be stopped.</summary>
    [Fact]
    public async Task A_start_that_cannot_write_its_address_ends_with_one_message()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-e2e-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "control-plane.json", "in-the-way"));
        var (code, _, error) = await Dsops.Run("dev", "--data-dir", folder, "--port", "0");
        Directory.Delete(folder, recursive: true);
        Assert.Equal(1, code);
        OneClearMessage(error, "Cannot write", "control-plane.json");
    }

    [Fact]
    public async Task A_database_that_is_not_there_is_one_message()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-e2e-").FullName;
        var (code, _, error) =
            await Dsops.Run("dev", "--data-dir", folder, "--port", "0", "--database", "Host=127.0.0.1;Port=1;Username=nobody;Database=ops");
        Directory.Delete(folder, recursive: true);
        Assert.NotEqual(0, code);
        OneClearMessage(error, "127.0.0.1");
    }

    [Fact]
    public async Task All_problems_of_a_pipeline_come_at_once_with_line_field_and_fix()
    {
        var dsops = await shared.Idle;
        string file = Path.Combine(dsops.DataDirectory, "wrong.yaml");
        string good = TinyPipeline.Pretraining("wrong", 10);
        await File.WriteAllTextAsync(file, good.Replace("preset: mini", "preset: v9", StringComparison.Ordinal)
            .Replace("sequenceLength: 64", "sequenceLenght: -64", StringComparison.Ordinal)
            .Replace("team: tests", "teem: tests", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        var (code, _, error) = await dsops.Verb("submit", file);
        Assert.Equal(1, code);
        Assert.Contains("v9", error, StringComparison.Ordinal);
        Assert.Contains("sequenceLenght", error, StringComparison.Ordinal);
        Assert.Contains("teem", error, StringComparison.Ordinal);
        Assert.Contains("team", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_verb_without_a_control_plane_says_how_to_start_one()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-e2e-").FullName;
        var (code, _, error) = await Dsops.Run("runs", "--data-dir", folder);
        Directory.Delete(folder, recursive: true);
        Assert.Equal(4, code);
        OneClearMessage(error, "dsops dev");
    }

    private static void OneClearMessage(string error, params string[] parts)
    {
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.InRange(error.Trim().Split('\n').Length, 1, 4);
        foreach (string part in parts)
        {
            Assert.Contains(part, error, StringComparison.Ordinal);
        }
    }
}
