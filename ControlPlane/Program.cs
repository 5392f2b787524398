using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting;

using var interrupt = new Interrupt();
return await CommandLine.Run(args, Terminal.Standard(), interrupt.Token);
