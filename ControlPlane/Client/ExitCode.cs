namespace DeepSeekOps.ControlPlane.Client;

/// <summary>What a script can tell from the exit code of any verb.</summary>
public static class ExitCode
{
    public const int Ok = 0;
    /// <summary>Refused or failed, for the reason on standard error.</summary>
    public const int Failed = 1;
    /// <summary>The command line itself is wrong.</summary>
    public const int Usage = 2;
    /// <summary>The data directory or a port is in use.</summary>
    public const int InUse = 3;
    /// <summary>No control plane answers.</summary>
    public const int NotReachable = 4;
    /// <summary>The watched run ended, and not well.</summary>
    public const int RunFailed = 5;
    /// <summary>`dsops doctor` found a fault.</summary>
    public const int Unwell = 6;
    /// <summary>Ended by Ctrl-C, as shells count it: 128 + SIGINT.</summary>
    public const int Interrupted = 130;
}
