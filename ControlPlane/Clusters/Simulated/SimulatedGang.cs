using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>The pods of one gang, which step together or not at all.</summary>
internal sealed class SimulatedGang(StageId stage)
{
    /// <summary>
    /// Ranks load weights and meet: ours, within the 5 to 20 minutes that arXiv 2410.21680 saw and the seconds of MegaScale.
    /// </summary>
    private const double LoadSeconds = 60;

    /// <summary>
    /// Steps of one turn at most, and samples that may wait to be taken: a ledger that falls behind slows the simulation down.
    /// </summary>
    private const int StepsPerTurn = 200;

    private SimulatedWork? work;
    private int attempt;
    private double stepEnds;
    private double stepSeconds;
    private double lastProgress;
    private bool saveAsked;
    private bool spoilNext;

    /// <summary>Batches whose numbers break each time that they are trained.</summary>
    private readonly HashSet<long> spoilt = [];

    public List<SimulatedPod> Pods { get; } = [];

    public long Step { get; private set; }

    public long Tokens { get; private set; }

    public bool Done { get; private set; }

    public int Attempt => attempt;

    /// <summary>
    /// Simulated seconds, up to the moment that it was last advanced to: time that this process took since then, times the factor, is no
    /// silence of a rank.
    /// </summary>
    public double SinceProgress { get; private set; }

    public void Save() => saveAsked = true;

    public void SpoilNextBatch() => spoilNext = true;

    /// <summary>Every rank of the newest launch is there and none has failed.</summary>
    public bool Whole => Pods is [{ Assignment: { } told }, ..] && Pods.Count * told.Ranks.Length == told.WorldSize
        && Pods.All(
            p => p is { ExitCode: null, RankError: null, Hung: false } && p.Assignment is { } a
                && a.Attempt == Pods[0].Assignment?.Attempt);

    /// <summary>Some ranks wait for peers that were not told of the launch yet: this process is behind, and nobody hangs.</summary>
    private bool AwaitsOrders => Pods.Exists(p => p.Assignment?.Attempt != Pods[0].Assignment?.Attempt);

    /// <summary>Training up to now.</summary>
    public void Advance(double now, DateTimeOffset at, Random random)
    {
        if (Whole && Pods[0].Assignment is { } assignment)
        {
            Train(assignment, now, at, random);
        }

        SinceProgress = AwaitsOrders ? 0 : Math.Max(0, now - Math.Max(lastProgress, Pods.Max(p => p.LaunchedAt)));
    }

    private void Train(Assignment assignment, double now, DateTimeOffset at, Random random)
    {
        if (assignment.Attempt != attempt)
        {
            Launch(assignment, random);
        }

        for (int made = 0; Whole && !Done && stepEnds <= now && made < StepsPerTurn && Pods[0].SamplesWaiting < StepsPerTurn; made++)
        {
            MakeStep(at, random);
        }

        if (saveAsked && Step > 0 && !Done && Whole)
        {
            Checkpoint(at);
        }

        saveAsked = false;
        // A turn that had no room for all its steps does not owe them; the gang stood still with it and made progress until then.
        double late = Math.Max(0, now - stepSeconds - stepEnds);
        stepEnds += late;
        lastProgress += late;
    }

    private void Launch(Assignment assignment, Random random)
    {
        work = new SimulatedWork(assignment.Pipeline, stage.Stage);
        (attempt, Done) = (assignment.Attempt, false);
        Step = assignment.ResumeFrom?.Step ?? 0;
        Tokens = work.TokensAt(Step);
        lastProgress = Pods.Max(p => p.LaunchedAt) + LoadSeconds;
        stepSeconds = work.StepSeconds(Step + 1, Tokens, random) / assignment.Rate;
        stepEnds = lastProgress + stepSeconds;
    }

    private void MakeStep(DateTimeOffset at, Random random)
    {
        long batch = BatchOrder.BatchOf(Step + 1, Pods[0].Assignment!.LeftOut);
        if (spoilNext)
        {
            (spoilNext, _) = (false, spoilt.Add(batch));
        }

        if (spoilt.Contains(batch))
        {
            Pods[0].BreakNumbers(new NotFinite("loss", NotFinite.InWords(double.NaN), Step + 1, batch, 0, "", 0));
            return;
        }

        Step++;
        Tokens = work!.TokensAfter(Step, Tokens);
        Pods[0].Tell(work.Sample(Step, Tokens, stepSeconds, attempt, at));
        lastProgress = stepEnds;
        Done = Step >= work.Steps;
        if (Done || Step % work.CheckpointEvery == 0)
        {
            Checkpoint(at);
            stepEnds += work.CheckpointStall.TotalSeconds;
        }

        stepSeconds = work.StepSeconds(Step + 1, Tokens, random) / Pods[0].Assignment!.Rate;
        stepEnds += stepSeconds;
    }

    /// <summary>There are no files: the path says so, and the digest is of the name.</summary>
    private void Checkpoint(DateTimeOffset at)
    {
        string path = string.Create(CultureInfo.InvariantCulture, $"simulated/{stage}/step-{Step:00000000}");
        string digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)));
        Pods[0].Tell(new CheckpointMade(Step, path, work!.CheckpointBytes, digest, Tokens,
            work.Sample(Step, Tokens, stepSeconds, attempt, at).Loss, $"simulated, token {Tokens}",
            work.CheckpointStall, work.CheckpointLag, at, attempt, Done));
    }
}
