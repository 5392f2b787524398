using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Ctrl-C, SIGTERM and SIGHUP (a terminal that is closed, an ssh that is lost) as a token. The second one ends the process at once, for
/// whoever will not wait. Under nohup SIGHUP is ignored from the start, and .NET leaves it so: that is how to outlive a terminal.
/// </summary>
public sealed partial class Interrupt : IDisposable
{
    private const int SigInt = 2;
    private const nint DefaultAction = 0;

    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration[] registrations;

    public Interrupt()
    {
        // A script's `dsops dev &` inherits an ignored SIGINT, which .NET would leave ignored: `kill -INT` is to stop it all the same.
        if (!OperatingSystem.IsWindows())
        {
            _ = Signal(SigInt, DefaultAction);
        }

        registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal),
        ];
    }

    public CancellationToken Token => source.Token;

    public void Dispose()
    {
        foreach (var registration in registrations)
        {
            registration.Dispose();
        }
        source.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        // A terminal that closes may say so more than once, and means no haste.
        if (!source.IsCancellationRequested || context.Signal == PosixSignal.SIGHUP)
        {
            context.Cancel = true;
            source.Cancel();
        }
    }

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int signal, nint action);
}
