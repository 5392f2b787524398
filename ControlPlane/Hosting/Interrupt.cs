using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>Ctrl-C and SIGTERM as a token. The second Ctrl-C ends the process at once, for whoever will not wait.</summary>
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
            [PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal)];
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
        if (!source.IsCancellationRequested)
        {
            context.Cancel = true;
            source.Cancel();
        }
    }

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int signal, nint action);
}
