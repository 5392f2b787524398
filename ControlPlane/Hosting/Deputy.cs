using System.Globalization;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Storage;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// A control plane that waits: of those on one PostgreSQL database one works, and the others take over when it ends or hangs. Nothing of
/// a waiting one listens but the port for monitoring, so agents, verbs and load balancers find the one that works by asking who answers.
/// </summary>
internal static class Deputy
{
    private const string KeyMark = ", key ";

    /// <summary>What the database says of its holder: where it is, and by a fingerprint which key it has.</summary>
    public static string NameOf(ControlPlaneOptions options) => string.Create(CultureInfo.InvariantCulture,
        $"on host {Environment.MachineName}, data directory {options.DataDirectory}, pid {Environment.ProcessId}")
        + $"{KeyMark}{KeyFile.Of(options).Fingerprint}";

    /// <summary>
    /// What all silos of one control plane are called: whose key or program is another one's is none of them. Two versions do not work at
    /// the same time: what silos say to each other is not promised to stay.
    /// </summary>
    private static string NameOfSilos(AccessKey key) => $"silos of dsops {ProgramVersion.Text}{KeyMark}{key.Fingerprint}";

    /// <summary>Waits until it is one of the silos. Null: stopped before.</summary>
    /// <exception cref="RefusalException">Those that work have another key.</exception>
    public static async Task<PostgresHold?> Join(ControlPlaneOptions options, Terminal terminal, WaitingPort port, CancellationToken stop)
    {
        var key = KeyFile.Of(options);
        try
        {
            var hold = await PostgresHold.Join(Database(options, "--silo"), NameOfSilos(key), other =>
            {
                Demand(other, key.Fingerprint);
                terminal.Output.WriteLine($"Waiting to become one of the silos: {other}");
                port.WaitsFor = "It waits to become one of the silos: those that work are of another version or kind.";
            }, TimeProvider.System, stop);
            hold.Begin(TimeProvider.System);
            return hold;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>Null: stopped before its turn came.</summary>
    /// <exception cref="RefusalException">What it would take over was made with another key.</exception>
    public static async Task<PostgresHold?> Turn(ControlPlaneOptions options, Terminal terminal, WaitingPort port, CancellationToken stop)
    {
        var postgres = Database(options, "--deputy");
        string own = KeyFile.Of(options).Fingerprint;
        try
        {
            var hold = await PostgresHold.Await(postgres, NameOf(options), other =>
            {
                Demand(other, own);
                terminal.Output.WriteLine($"Waiting as deputy: {other}");
                port.WaitsFor = "It waits as deputy: another control plane has the database and works.";
            }, TimeProvider.System, stop);
            hold.Begin(TimeProvider.System);
            return hold;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private static OpsDatabase.Postgres Database(ControlPlaneOptions options, string option)
    {
        try
        {
            return OpsDatabase.Parse(options.Database, options.DataDirectory) as OpsDatabase.Postgres ?? throw new RefusalException(
                $"{option} needs a database that all reach, and SQLite is a file of one process.",
                "Name PostgreSQL with --database or --database-file.", ExitCode.Usage);
        }
        catch (FormatException e)
        {
            throw new RefusalException(e.Message, "Correct --database.", ExitCode.Usage, e);
        }
    }

    /// <summary>Agents show tokens that were made with the key of who placed them; with another key all would be turned away.</summary>
    private static void Demand(string other, string own)
    {
        int at = other.LastIndexOf(KeyMark, StringComparison.Ordinal);
        if (at >= 0 && other[(at + KeyMark.Length)..] != own)
        {
            throw new RefusalException($"The control plane that works has another key: {other}. With this one's ({own}) its agents and "
                + "everybody's tokens would be refused.",
                "Give both the same --key-file: a copy of dsops.key from the data directory of the first.", ExitCode.Failed);
        }
    }
}
