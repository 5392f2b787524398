namespace DeepSeekOps.Decisions.Doctor;

/// <summary>A port that a control plane would listen at.</summary>
/// <param name="Name">"http", "grpc", "agents", "monitoring", "https" or "silo".</param>
/// <param name="Option">That chooses it: "--port".</param>
/// <param name="Asked">False: it is the usual one, and another is taken where it is in use.</param>
public sealed record PortFacts(string Name, string Option, string Address, int Port, bool Asked)
{
    /// <summary>What came of listening there; empty: it can be had.</summary>
    public string Trouble { get; init; } = "";

    public bool InUse { get; init; }

    /// <summary>"pid 4711 (nginx)"; empty: not known.</summary>
    public string By { get; init; } = "";

    /// <summary>The control plane of this very data directory listens there.</summary>
    public bool ByOurs { get; init; }
}

/// <summary>Whether its ports can be had.</summary>
public static class PortCheck
{
    public static Finding Of(PortFacts seen)
    {
        string check = $"port.{seen.Name}", by = seen.By.Length > 0 ? $" by {seen.By}" : "";
        string another = seen.Option is "--port" or "--grpc-port" ? $"{seen.Option} N ({seen.Option} 0 takes a free one)"
            : $"{seen.Option} ADDRESS:PORT";
        return seen switch
        {
            { Port: 0 } => Finding.Ok(check, $"{seen.Option} takes a free port"),
            { ByOurs: true } => Finding.Ok(check, $"port {seen.Port} is that of the control plane that has the folder"),
            { InUse: true, Asked: false } => Finding.Warning(check,
                $"port {seen.Port}, the usual one, is in use{by}: a start takes a free one, and people look for it in vain",
                $"Stop what uses it, or choose another: {another}."),
            { InUse: true } => Finding.Fault(check, $"port {seen.Port} of {seen.Address} is in use{by}",
                $"Stop what uses it, or choose another: {another}."),
            { Trouble.Length: > 0 } => Finding.Fault(check, $"nobody can listen at {seen.Address}:{seen.Port}: {seen.Trouble}",
                $"Choose an address of this machine, and a port above 1023: {another}."),
            _ => Finding.Ok(check, $"port {seen.Port} of {seen.Address} is free"),
        };
    }
}
