using System.Globalization;
using System.Text;
using DeepSeekOps.Decisions.Simulation;

namespace DeepSeekOps.Decisions.Tests.Simulation;

/// <summary>
/// A trace by the figures of the published one (StepFun, 400 servers, 349 days): 4.18 faults per 1,000 machine-days, 42 % of them of a
/// machine that had one in the 30 days before, 15 % within five minutes of another, repairs of 20 h in the median and 309 h at nine
/// tenths, and one hour in which 14 machines go.
/// </summary>
internal static class MadeUpTrace
{
    private const double Repeats = 0.4;
    private const double AtOnce = 0.15;

    private static readonly string[] Classes = ["GPU double-bit ECC", "GPU lost", "stress test", "cable", "fan", "NIC", "power", "unknown"];

    public static FaultTrace Of(int seed, int machines, int days)
    {
        var random = new Random(seed);
        var text = new StringBuilder("start_days,end_days,node,class\n");
        // Of all faults these are the first of their machine's series, and not beside another.
        double perDay = 4.18 / 1000 * machines * (1 - Repeats) * (1 - AtOnce);
        for (double at = Wait(1 / perDay); at < days; at += Wait(1 / perDay))
        {
            int machine = random.Next(machines);
            double from = at;
            do
            {
                double back = Row(from, machine);
                if (random.NextDouble() < AtOnce)
                {
                    Row(from + (random.NextDouble() * 5 / 1440), random.Next(machines));
                }

                from = back + Wait(5);
            }
            while (from < days && random.NextDouble() < Repeats);
        }

        double burst = days * random.NextDouble() * 0.9;
        for (int i = 0; i < 14; i++)
        {
            Row(burst + (random.NextDouble() / 24), random.Next(machines));
        }

        return FaultTrace.Parse($"made up, seed {seed}", text.ToString()).Trace!;

        double Wait(double mean) => -mean * Math.Log(1 - random.NextDouble());

        // Log-normal. It ends with the trace, as the published one's do.
        double Row(double from, int machine)
        {
            double normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            double until = Math.Max(from, Math.Min(days, from + (20 * Math.Exp(2.137 * normal) / 24)));
            text.Append(string.Create(CultureInfo.InvariantCulture,
                $"{from:0.000000},{until:0.000000},{machine},{Classes[random.Next(Classes.Length)]}\n"));
            return until;
        }
    }
}
