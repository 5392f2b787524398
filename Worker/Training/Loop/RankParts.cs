using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// Tells the agent what a launch spent its time on, until its first step: the rank's part of the recovery's trace. A launch without a
/// traceparent is part of none, and nothing is told.
/// </summary>
internal sealed class RankParts(string traceparent, IRankLink link)
{
    private readonly Stopwatch _launch = Stopwatch.StartNew();
    private TimeSpan _until;
    private bool _over = traceparent.Length == 0;

    /// <summary>What was done since the part before is over.</summary>
    public void Ended(string what)
    {
        if (_over)
        {
            return;
        }
        var now = _launch.Elapsed;
        link.Report(new RankReport
        {
            Part = new RankPart
            {
                What = what, SinceLaunch = _until.TotalSeconds, Seconds = (now - _until).TotalSeconds, Traceparent = traceparent,
            },
        });
        _until = now;
    }

    /// <summary>And with it the launch.</summary>
    public void Last(string what)
    {
        Ended(what);
        _over = true;
    }
}
